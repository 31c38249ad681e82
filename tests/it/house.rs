//! The source files as the compiler sees them: which file uses items of which other file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::{self, Visit};

/// One source file.
pub(crate) struct SourceFile {
    /// The path relative to `src`, such as `training/fit.rs`.
    pub(crate) path: String,
    /// The path of its module, such as `[training, fit]`.
    pub(crate) module: Vec<String>,
    pub(crate) text: String,
    ast: syn::File,
}

impl SourceFile {
    /// The top-level module of the file, or `lib`.
    pub(crate) fn room(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }

    /// Whether the file is a door: `lib.rs` or a `mod.rs`.
    pub(crate) fn is_door(&self) -> bool {
        self.path.ends_with("mod.rs") || self.path == "lib.rs"
    }

    pub(crate) fn is_test(&self) -> bool {
        self.module.last().is_some_and(|name| name == "tests")
    }
}

/// The items that one file uses, exports and defines.
#[derive(Default)]
pub(crate) struct Names {
    /// The absolute paths that the file uses outside its tests.
    pub(crate) paths: BTreeSet<Vec<String>>,
    /// The names that the file re-exports, with the paths that they stand for.
    exports: BTreeMap<String, Vec<String>>,
    /// The names of the functions that take tuples.
    pub(crate) tuple_functions: Vec<String>,
    /// The names of the macros that the file calls.
    pub(crate) macros: BTreeSet<String>,
}

/// All source files and the names in them.
pub(crate) struct House {
    pub(crate) files: Vec<SourceFile>,
    pub(crate) names: Vec<Names>,
    modules: BTreeMap<Vec<String>, usize>,
}

impl House {
    /// Reads all files below `src`.
    pub(crate) fn read() -> Self {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        walk(&src, &src, &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let modules: BTreeMap<_, _> =
            files.iter().enumerate().map(|(at, file)| (file.module.clone(), at)).collect();
        let names = files.iter().map(|file| names(file, &modules)).collect();
        Self { files, names, modules }
    }

    /// The file that defines the item of a path, or `None` if it is not in this crate.
    pub(crate) fn definition(&self, path: &[String]) -> Option<usize> {
        self.resolve(path, 0)
    }

    fn resolve(&self, path: &[String], depth: usize) -> Option<usize> {
        let mut length = path.len();
        while length > 0 && !self.modules.contains_key(&path[..length]) {
            length -= 1;
        }
        let file = *self.modules.get(&path[..length])?;
        let Some(name) = path.get(length) else { return Some(file) };
        match self.names[file].exports.get(name) {
            Some(target) if depth < 8 => {
                let mut target = target.clone();
                target.extend_from_slice(&path[length + 1..]);
                self.resolve(&target, depth + 1)
            }
            _ => Some(file),
        }
    }

    /// The other files whose items a file uses.
    pub(crate) fn uses(&self, file: usize) -> BTreeSet<usize> {
        let found = self.names[file].paths.iter().filter_map(|path| self.definition(path));
        found.filter(|other| *other != file).collect()
    }

    /// Sets of files that use each other in a cycle, directly or through other files.
    pub(crate) fn circles(&self) -> Vec<Vec<&str>> {
        let n = self.files.len();
        let uses: Vec<BTreeSet<usize>> = (0..n).map(|file| self.uses(file)).collect();
        let reach: Vec<BTreeSet<usize>> = (0..n)
            .map(|from| {
                let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
                while let Some(at) = open.pop() {
                    open.extend(uses[at].iter().filter(|next| seen.insert(**next)));
                }
                seen
            })
            .collect();
        let mut found: BTreeSet<Vec<usize>> = BTreeSet::new();
        for file in 0..n {
            let circle = (0..n).filter(|&o| reach[file].contains(&o) && reach[o].contains(&file));
            let circle: Vec<usize> = circle.collect();
            if circle.len() > 1 {
                found.insert(circle);
            }
        }
        let paths = |circle: Vec<usize>| circle.iter().map(|&f| &*self.files[f].path).collect();
        found.into_iter().map(paths).collect()
    }
}

fn walk(dir: &Path, src: &Path, found: &mut Vec<SourceFile>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, src, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let ast = syn::parse_file(&text).unwrap();
            let path = path.strip_prefix(src).unwrap().to_str().unwrap().to_owned();
            let stem = path.trim_end_matches(".rs").trim_end_matches("/mod");
            let module = match stem {
                "lib" | "mod" => Vec::new(),
                stem => stem.split('/').map(str::to_owned).collect(),
            };
            found.push(SourceFile { path, module, text, ast });
        }
    }
}

struct Collector<'f> {
    file: &'f SourceFile,
    /// The inline modules around the visited item.
    inside: Vec<String>,
    modules: &'f BTreeMap<Vec<String>, usize>,
    names: Names,
}

fn names(file: &SourceFile, modules: &BTreeMap<Vec<String>, usize>) -> Names {
    let mut collector = Collector { file, inside: Vec::new(), modules, names: Names::default() };
    if !file.is_test() {
        collector.visit_file(&file.ast);
    }
    collector.names
}

/// Whether an item is compiled only for tests.
fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    let names_test = |attribute: &syn::Attribute| match &attribute.meta {
        syn::Meta::List(list) => {
            let text = list.tokens.to_string();
            text.split(|c: char| !c.is_alphanumeric()).any(|word| word == "test")
        }
        _ => false,
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg") && names_test(attribute)
    })
}

impl Collector<'_> {
    /// The path from the root of the crate, or `None` if it does not lead into this crate.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let mut base = self.file.module.clone();
        base.extend(self.inside.iter().cloned());
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            child => {
                base.push(child.to_owned());
                if path.len() < 2 || !self.modules.contains_key(&base) {
                    return None;
                }
                rest = &path[1..];
            }
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    fn add(&mut self, path: &[String]) {
        if let Some(path) = self.absolute(path) {
            self.names.paths.insert(path);
        }
    }

    fn tree(&mut self, tree: &syn::UseTree, prefix: &[String], exported: bool) {
        let with = |ident: &syn::Ident| {
            let mut path = prefix.to_vec();
            path.push(ident.to_string());
            path
        };
        match tree {
            syn::UseTree::Path(path) => self.tree(&path.tree, &with(&path.ident), exported),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.tree(tree, prefix, exported));
            }
            syn::UseTree::Name(name) => {
                let path = if name.ident == "self" { prefix.to_vec() } else { with(&name.ident) };
                let last = path.last().cloned().unwrap_or_default();
                self.import(&path, &last, exported);
            }
            syn::UseTree::Rename(name) => {
                self.import(&with(&name.ident), &name.rename.to_string(), exported);
            }
            syn::UseTree::Glob(_) => self.add(prefix),
        }
    }

    fn import(&mut self, path: &[String], name: &str, exported: bool) {
        // A `use` in a door of an item of its own modules counts as a re-export.
        let own = self.file.is_door()
            && self.absolute(path).is_some_and(|path| {
                path.starts_with(&self.file.module) && path.len() > self.file.module.len() + 1
            });
        match (exported || own, self.absolute(path)) {
            (true, Some(target)) => drop(self.names.exports.insert(name.to_owned(), target)),
            (_, Some(target)) => drop(self.names.paths.insert(target)),
            (_, None) => {}
        }
    }

    /// Adds the paths in the tokens of a macro that start with one of `roots`.
    fn words(&mut self, text: &str, roots: &[&str]) {
        let words: Vec<&str> = text.split_whitespace().collect();
        for (at, _) in words.iter().enumerate().filter(|(_, word)| roots.contains(word)) {
            let mut path = vec![words[at].to_owned()];
            let mut next = at + 1;
            while words.get(next) == Some(&"::") && next + 1 < words.len() {
                path.push(words[next + 1].to_owned());
                next += 2;
            }
            if path.len() > 1 {
                self.add(&path);
            }
        }
    }

    fn signature(&mut self, signature: &syn::Signature) {
        let takes_tuple = signature.inputs.iter().any(|input| match input {
            syn::FnArg::Typed(typed) => {
                matches!(&*typed.ty, syn::Type::Tuple(tuple) if tuple.elems.len() > 1)
            }
            syn::FnArg::Receiver(_) => false,
        });
        if takes_tuple {
            self.names.tuple_functions.push(signature.ident.to_string());
        }
    }
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes: &[syn::Attribute] = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            _ => &[],
        };
        match item {
            _ if is_for_tests(attributes) => {}
            syn::Item::Mod(module) if module.content.is_some() => {
                self.inside.push(module.ident.to_string());
                visit::visit_item(self, item);
                self.inside.pop();
            }
            // The meaning of `super` in a macro depends on the caller.
            syn::Item::Macro(macro_item) if macro_item.ident.is_some() => {
                self.words(&macro_item.mac.tokens.to_string(), &["crate"]);
            }
            item => visit::visit_item(self, item),
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let exported = !matches!(item.vis, syn::Visibility::Inherited);
        self.tree(&item.tree, &[], exported);
    }

    /// Ignores the paths in `pub(super)` and `pub(crate)`.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.add(&segments);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let name = call.path.segments.last().map(|s| s.ident.to_string());
        self.names.macros.extend(name);
        self.words(&call.tokens.to_string(), &["crate", "super"]);
        visit::visit_macro(self, call);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.signature(&item.sig);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            self.signature(&item.sig);
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.signature(&item.sig);
        visit::visit_trait_item_fn(self, item);
    }
}
