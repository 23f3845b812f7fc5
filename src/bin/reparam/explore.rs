//! `reparam explore`: serves the course and the pages in which the engine runs, to this machine alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use reparam::cli::say;
use reparam::{Error, Result};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Open the first page in the browser
    #[arg(long)]
    open: bool,
}

/// Files of a folder, by their path from it.
macro_rules! files {
    ($folder:literal, $($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../../", $folder, $path)))),*]
    };
}

/// The pages in docs/explore, which is the root of the site.
const PAGES: &[(&str, &[u8])] = files![
    "docs/explore/",
    "index.html",
    "style.css",
    "frame.js",
    "engine.js",
    "vae.js",
    "digits.js",
    "baseline.html",
    "bump.html",
    "cheating-decoder.html",
    "dartboard.html",
    "frozen-dice.html",
    "gumbel-race.html",
    "live-tape.html",
    "one-temperature.html",
    "vae-live.html",
    "where-descent-ends.html",
    "course/00-start-here.html",
    "course/01-a-coin.html",
    "course/02-reinforce.html",
    "course/03-the-gumbel-race.html",
    "course/04-gumbel-softmax.html",
    "course/05-temperature.html",
    "course/06-straight-through.html",
    "course/07-which-one.html",
    "course/08-the-tape.html",
    "course/09-a-gradient-rule.html",
    "course/10-checking-a-gradient.html",
    "course/11-fusing-a-kernel.html",
    "course/12-the-elbo.html",
    "course/13-a-vae-from-an-empty-file.html",
    "course/A-densities.html",
    "course/B-more-estimators.html",
    "course/C-noise-and-kernels.html",
    "course/D-names.html",
    "stills/frozen-dice.png",
    "stills/where-descent-ends.png",
    "panels/baseline.js",
    "panels/bump.js",
    "panels/cheating-decoder.js",
    "panels/dartboard.js",
    "panels/frozen-dice.js",
    "panels/gumbel-race.js",
    "panels/live-tape.js",
    "panels/one-temperature.js",
    "panels/vae-live.js",
    "panels/where-descent-ends.js",
];

/// The pictures of the chapters. On disk they are beside the root, where a browser asks for `../figures`, which is
/// `/figures` to a server.
const PICTURES: &[(&str, &[u8])] = files![
    "docs/",
    "figures/baseline.svg",
    "figures/bias-arrow.svg",
    "figures/bias-variance.svg",
    "figures/bump.svg",
    "figures/code-usage.svg",
    "figures/coin-and-gaussian.svg",
    "figures/density.svg",
    "figures/digits.svg",
    "figures/elbo-gap.svg",
    "figures/gradcheck-step.svg",
    "figures/gradient-paths.svg",
    "figures/gradients.svg",
    "figures/kernel-cost.svg",
    "figures/lab-training.svg",
    "figures/race.svg",
    "figures/rule.svg",
    "figures/simplex.svg",
    "figures/staircase.svg",
    "figures/tails.svg",
    "figures/tape.svg",
];

/// The most bytes of a request that are read.
const LONGEST_REQUEST: u64 = 8192;
/// The time that a browser has to send a request.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(args: Args) -> Result<i32> {
    let refused = |error| Error::invalid("127.0.0.1", "a free port", error);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(refused)?;
    let address = format!("http://{}/", listener.local_addr().map_err(refused)?);
    say!("the pages are at {address} on this machine alone; Ctrl-C ends");
    if args.open {
        open(&address);
    }
    for stream in listener.incoming().flatten() {
        // A browser that goes away, or asks for nothing, is no reason to end.
        std::thread::spawn(move || answer(stream));
    }
    Ok(0)
}

/// Answers one request: GET or HEAD of a file.
fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = BufReader::new((&stream).take(LONGEST_REQUEST)).lines();
    let first = request.next().transpose()?.unwrap_or_default();
    // The rest is read, because closing a connection with unread bytes resets it.
    while request.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split(['?', '#']).next().unwrap_or_default().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let file = PAGES.iter().chain(PICTURES).find(|(name, _)| *name == path);
    let (status, kind, body): (_, _, &[u8]) = match file {
        _ if !["GET", "HEAD"].contains(&method) => {
            ("405 Method Not Allowed", "text/plain", b"GET or HEAD expected\n")
        }
        None => ("404 Not Found", "text/plain", b"no such page; / has them all\n"),
        Some((name, body)) => ("200 OK", kind(name), body),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    if method != "HEAD" {
        stream.write_all(body)?;
    }
    stream.flush()
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    }
}

/// Opens an address in the user's browser. If there is none, the printed address is enough.
fn open(address: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let _ = Command::new(program).arg(address).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}
