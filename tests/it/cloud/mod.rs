//! Object stores, tested with moto (`pip install moto[server]`), a server for the S3 protocol.
//!
//! The tests find it by `MOTO_SERVER` or on the path. Without it, they report that they are
//! skipped.

mod inputs;
mod nights;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::nights::{Nights, ended};
use crate::support::{lacuna, sample, skip};

/// The server of one test and a local directory.
pub(super) struct Server {
    pub(super) child: Child,
    pub(super) port: u16,
    pub(super) nights: Nights,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub(super) fn start() -> Option<Self> {
        let program = std::env::var("MOTO_SERVER").unwrap_or_else(|_| "moto_server".into());
        let mut command = Command::new(&program);
        // The server chooses a free port and says which.
        command.args(["-H", "127.0.0.1", "-p", "0"]).env("PYTHONUNBUFFERED", "1");
        let Ok(mut child) = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn() else {
            skip("moto_server is not installed (pip install 'moto[server]'; path: MOTO_SERVER)");
            return None;
        };
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("Running on") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "moto_server does not start");
        }
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("no port in {line}"));
        // Somebody must read what the server logs, or it blocks.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let server = Self { child, port, nights: Nights::new(Path::new(&sample())) };
        assert_eq!(server.ask("PUT", "", b"").0, 200);
        Some(server)
    }

    /// Sends a request with a dummy signature, which moto ignores. Returns the status and content.
    pub(super) fn ask(&self, method: &str, key: &str, content: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = format!(
            "{method} /bucket/{key} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/s3/aws4_request, \
             SignedHeaders=host, Signature=none\r\n\r\n",
            self.port,
            content.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(content).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let status = String::from_utf8_lossy(&answer[9..12]).parse().unwrap();
        (status, answer[end + 4..].to_vec())
    }

    pub(super) fn put(&self, key: &str, content: &[u8]) {
        assert_eq!(self.ask("PUT", key, content).0, 200, "{key}");
    }

    pub(super) fn get(&self, key: &str) -> Option<Vec<u8>> {
        let (status, content) = self.ask("GET", key, b"");
        (status == 200).then_some(content)
    }

    /// The keys that begin with `prefix`.
    pub(super) fn keys(&self, prefix: &str) -> Vec<String> {
        let (_, xml) = self.ask("GET", &format!("?list-type=2&prefix={prefix}"), b"");
        let xml = String::from_utf8(xml).unwrap();
        let keys = xml.split("<Key>").skip(1).map(|rest| rest.split_once('<').unwrap().0);
        keys.map(str::to_owned).collect()
    }

    /// Uploads the earliest `percent` percent of the ratings as the input object.
    pub(super) fn night(&self, percent: usize) {
        self.corrupt(percent, |_, line| line.to_owned());
    }

    pub(super) fn corrupt(&self, percent: usize, edit: impl Fn(usize, &str) -> String) {
        self.nights.ratings(percent, edit);
        self.put("in/ratings.csv", &fs::read(self.nights.path("ratings.csv")).unwrap());
    }

    /// The program, with this server in place of Amazon's.
    pub(super) fn lacuna(&self, arguments: &[&str]) -> Command {
        let mut command = lacuna();
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port));
        command.env("AWS_REGION", "us-east-1").env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("XDG_CACHE_HOME", self.nights.path("cache"));
        command.args(arguments);
        command
    }

    pub(super) fn command(&self, models: &str, extra: &[&str]) -> Command {
        let mut command = self.lacuna(&["run", "s3://bucket/in/ratings.csv", "-o"]);
        command
            .args([&format!("s3://bucket/{models}"), "--json", "-k", "8", "-a", "als"])
            .args(extra);
        command
    }

    pub(super) fn good(&self, models: &str, extra: &[&str]) -> Value {
        let (code, report, log) = ended(&mut self.command(models, extra));
        assert_eq!((code, &report["result"]), (0, &"promoted".into()), "{report} {log}");
        report
    }

    /// Runs the program and returns its exit code, standard output and standard error.
    pub(super) fn say(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.lacuna(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// The id of the published run, after its checksums are verified.
    pub(super) fn served(&self, models: &str) -> String {
        let pointer = self.get(&format!("{models}/latest.json")).unwrap();
        let pointer: Value = serde_json::from_slice(&pointer).unwrap();
        let (code, _, err) = self.say(&["verify", &format!("s3://bucket/{models}/latest")]);
        assert_eq!(code, 0, "{err}");
        pointer["run_id"].as_str().unwrap().to_owned()
    }

    /// The recommendations of the published model for two users, with all printed digits.
    pub(super) fn predictions(&self, models: &str) -> String {
        let extra = ["--user", "1", "--user", "17"];
        self.recommended(&format!("s3://bucket/{models}"), &extra)
    }

    pub(super) fn recommended(&self, model: &str, extra: &[&str]) -> String {
        let (code, out, err) = self.say(&[&["recommend", model, "--json"], extra].concat());
        assert_eq!(code, 0, "{err}");
        let value: Value = serde_json::from_str(&out).unwrap();
        value["lists"].to_string()
    }
}
