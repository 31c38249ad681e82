#[test]
fn probe() {
    let house = super::house::House::read();
    for c in house.circles() { println!("CIRCLE {}: {}", c.len(), c.join(" ")); }
    let mut n = 0;
    for (f, names) in house.files.iter().zip(&house.names) {
        n += names.tuple_functions.len();
        if !names.tuple_functions.is_empty() { println!("TUPLE {} {}", f.path, names.tuple_functions.join(" ")); }
    }
    println!("TUPLES {n}");
    for (i, f) in house.files.iter().enumerate() {
        for u in house.uses(i) {
            let o = &house.files[u];
            if o.is_door() && f.module.starts_with(&o.module) { println!("DOOR {} -> {}", f.path, o.path); }
        }
        let l = f.text.lines().count();
        if l > 400 { println!("LONG {} {l}", f.path); }
    }
}
