//! Is every run and every file as a user expects after several processes, signals, pipes and full disks?

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use reparam::train::Stored;
use serde_json::Value;

use crate::common::desk::{Desk, Running, all, finished, is_picture, json_lines, text};

fn desk() -> Desk {
    Desk::new(env!("CARGO_BIN_EXE_reparam"))
}

/// Training that takes no time.
const TRAIN: &str = "--data data --steps 40 --hidden 16 --latents 3 --classes 4 --batch 20 --samples 2";
/// Training that does not end by itself.
const ENDLESS: &str = "--data data --steps 100000000 --hidden 16 --latents 3 --classes 4 --batch 20 --samples 2 \
                       --validate-every 200";

/// Returns the seed and the steps of the run in a folder.
fn run_in(folder: &Path) -> (u64, u64) {
    let stored = Stored::load(&folder.join("model.safetensors")).unwrap();
    (stored.plan.training.seed, stored.step)
}

#[test]
fn one_process_at_a_time_has_a_folder() {
    let desk = desk();
    let mut run = Running::start(&desk, &format!("train vae {ENDLESS} --out out --seed 2"));
    run.wait_for_step_after(&desk.path("out/metrics.jsonl"), 0);
    let lines = [
        format!("train vae {TRAIN} --out out"),
        format!("train vae {TRAIN} --out out --force"),
        "train vae --data data --out out --resume".to_owned(),
    ];
    assert_snapshot!(all(lines.map(|line| desk.error(&line, &desk.output(&line)))), @"
    error: out: expected a folder that no other process writes in, found one in use; wait for that run to end, or give another --out
    error: out: expected a folder that no other process writes in, found one in use; wait for that run to end, or give another --out
    error: out: expected a folder that no other process writes in, found one in use; wait for that run to end, or give another --out
    ");
    run.signal("TERM");
    assert_eq!(run.end().0, Some(130));
    assert_eq!(desk.names("out"), ["metrics.jsonl", "model.safetensors"]);
    assert_eq!(run_in(&desk.path("out")).0, 2);
}

/// If runs begin at the same moment in a folder that does not exist yet, one of them gets it.
#[test]
fn only_one_of_runs_that_begin_together_continues() {
    let desk = desk();
    for round in 0..5 {
        let out = format!("out{round}");
        let start = |seed: u64| {
            let line = format!("train vae {TRAIN} --steps 2000 --out {out} --seed {seed}");
            (seed, Running::start(&desk, &line))
        };
        let runs: Vec<_> = (1..5).map(start).collect();
        let ended = runs.into_iter().map(|(seed, run)| (seed, run.end().0));
        let winners: Vec<u64> = ended.filter(|&(_, code)| code == Some(0)).map(|(seed, _)| seed).collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert_eq!(run_in(&desk.path(&out)), (winners[0], 2000));
        assert_eq!(desk.metrics(&format!("{out}/metrics.jsonl")).last().unwrap()["step"], 2000);
    }
}

#[test]
fn a_folder_with_a_run_is_refused_before_anything_is_loaded() {
    let desk = desk();
    desk.run(&format!("train vae {TRAIN} --out out"));
    fs::create_dir(desk.path("begun")).unwrap();
    fs::copy(desk.path("out/model.safetensors"), desk.path("begun/model.safetensors")).unwrap();
    let lines = [
        "train vae --data nowhere --out out",
        "train mlp --data nowhere --out begun",
        "train vae --data data --out out --force --hidden 0",
    ];
    assert_snapshot!(all(lines.map(|line| desk.refused(line))), @"
    error: out: expected a folder without a run, found model.safetensors; --resume continues its run, --force replaces it, another --out keeps it
    error: begun: expected a folder without a run, found model.safetensors; --resume continues its run, --force replaces it, another --out keeps it
    error: --hidden: expected at least 1, found 0
    ");
    assert_snapshot!(desk.misused("train vae --out out --force --resume"), @"error: the argument '--force' cannot be used with '--resume'");
}

#[test]
fn force_puts_a_run_in_the_place_of_another() {
    let desk = desk();
    desk.run(&format!("train vae {TRAIN} --out real"));
    symlink("real", desk.path("out")).unwrap();
    fs::write(desk.path("out/notes.txt"), "mine").unwrap();
    fs::create_dir(desk.path("out/more")).unwrap();
    // This is the state that a process leaves if it is killed after the swap.
    fs::create_dir(desk.path(".real.1-0.partial")).unwrap();
    fs::copy(desk.path("out/model.safetensors"), desk.path(".real.1-0.partial/model.safetensors")).unwrap();
    fs::write(desk.path(".real.1-0.partial/kept.txt"), "mine too").unwrap();
    desk.run(&format!("train vae {TRAIN} --out out --force --seed 2"));
    let names = ["digits.png", "kept.txt", "metrics.jsonl", "model.safetensors", "more", "notes.txt"];
    assert_eq!(desk.names("out"), names);
    assert_eq!(desk.names("."), ["data", "out", "real"]);
    assert!(desk.path("out").is_symlink());
    assert_eq!(run_in(&desk.path("out")), (2, 40));
    // Where there is no run, there is nothing to replace.
    desk.run(&format!("train vae {TRAIN} --out new --force"));

    let mut command =
        desk.command(&format!("train vae {} --out . --force", TRAIN.replace("data data", "data ../data")));
    let output = finished(command.current_dir(desk.path("new")).output().unwrap());
    assert_snapshot!(desk.error("--out . --force", &output), @"error: .: expected a folder that --force can replace, found the current one; leave it, or give another --out");
    assert_eq!(run_in(&desk.path("new")), (1, 40));
}

/// Kills `train --force` at many moments. Each time, the folder must hold one run or the other.
fn killed_with_force(kills: u64) {
    let desk = desk();
    desk.run(&format!("train vae {TRAIN} --out old"));
    let (mut olds, mut news) = (0, 0);
    for kill in 0..kills {
        let _ = fs::remove_dir_all(desk.path("out"));
        fs::create_dir(desk.path("out")).unwrap();
        for name in desk.names("old") {
            fs::copy(desk.path("old").join(&name), desk.path("out").join(name)).unwrap();
        }
        let run = Running::start(&desk, &format!("train vae {TRAIN} --out out --force --seed 2"));
        sleep(Duration::from_micros(500 * kill));
        run.signal("KILL");
        run.end();
        match run_in(&desk.path("out")) {
            (1, 40) => {
                olds += 1;
                for name in desk.names("old") {
                    assert!(desk.read(&format!("old/{name}")) == desk.read(&format!("out/{name}")), "{name}");
                }
            }
            (2, _) => {
                news += 1;
                assert!(!desk.path("out/digits.png").exists() || run_in(&desk.path("out")).1 == 40);
            }
            other => panic!("{other:?}"),
        }
        desk.run("train vae --data data --out out --resume --samples 2");
        assert_eq!(desk.names("."), ["data", "old", "out"], "kill {kill}");
        assert_eq!(desk.names("out"), ["digits.png", "metrics.jsonl", "model.safetensors"]);
    }
    assert!(olds > 0 && news > 0, "{olds} of the run before, {news} of the new one");
}

#[test]
fn a_kill_leaves_one_run_or_the_other() {
    killed_with_force(60);
}

#[test]
#[ignore = "many kills: a minute"]
fn many_kills_leave_one_run_or_the_other() {
    killed_with_force(400);
}

#[test]
fn a_probe_touches_no_file_of_the_user() {
    let desk = desk();
    fs::create_dir(desk.path("out")).unwrap();
    fs::write(desk.path("victim"), "mine").unwrap();
    symlink("../victim", desk.path("out/.writable")).unwrap();
    desk.run("lab --problem toy:0.45 --estimator exact --quick --plot out");
    assert_eq!(text(&desk.read("victim")), "mine");
    assert!(desk.path("out/.writable").is_symlink());
    desk.run(&format!("train vae {TRAIN} --out out"));
    assert!(desk.path("out/.writable").is_symlink());
}

#[test]
fn names_may_be_as_long_as_the_system_allows() {
    let desk = desk();
    let name = "x".repeat(250);
    desk.run(&format!("lab --problem toy:0.45 --estimator exact --quick --json {name}"));
    assert_eq!(json_lines(&desk, &name).len(), 1);
    desk.run(&format!("train vae {TRAIN} --out {name}.d --json {name}"));
    assert_eq!(desk.metrics(&name).last().unwrap()["split"], "test");
}

/// Returns the lines of a file after a command and another one have written to it through the same
/// descriptor.
fn redirected(desk: &Desk, line: &str, descriptor: u32) -> Vec<String> {
    let binary = desk.command(line);
    let script = format!(
        "exec {descriptor}>redirected; echo before >&{descriptor}; \"$0\" \"$@\"; echo after >&{descriptor}"
    );
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(script).arg(binary.get_program()).args(binary.get_args());
    let output = finished(shell.current_dir(desk.folder.path()).output().unwrap());
    assert!(output.status.success(), "{line}: {}", text(&output.stderr));
    text(&desk.read("redirected")).lines().map(str::to_owned).collect()
}

#[test]
fn descriptors_are_written_through() {
    let desk = desk();
    desk.run(&format!("train vae {TRAIN} --out out"));
    let eval = "eval out/model.safetensors --data data --samples 2 --json";
    for (place, descriptor, count) in
        [("/dev/stdout", 1, 6), ("/dev/fd/1", 1, 6), ("/dev/stderr", 2, 3), ("/proc/self/fd/2", 2, 3)]
    {
        let lines = redirected(&desk, &format!("{eval} {place}"), descriptor);
        assert_eq!(
            (lines.len(), &lines[0][..], &lines[count - 1][..]),
            (count, "before", "after"),
            "{place}: {lines:?}"
        );
        let score: Value = serde_json::from_str(&lines[count - 2]).unwrap();
        assert_eq!(score["split"], "test", "{place}");
    }
    // Any other descriptor is reopened, at the end of its file.
    fs::write(desk.path("log"), "before\n").unwrap();
    let line = format!("{eval} /dev/fd/3");
    let binary = desk.command(&line);
    let mut shell = Command::new("bash");
    shell.args(["-c", "exec 3>>log; \"$0\" \"$@\""]).arg(binary.get_program()).args(binary.get_args());
    assert!(shell.current_dir(desk.folder.path()).output().unwrap().status.success());
    let log = text(&desk.read("log"));
    assert!(log.starts_with("before\n{") && log.lines().count() == 2, "{log}");

    let lines = redirected(
        &desk,
        &format!("train vae {TRAIN} --validate-every 20 --out stream --json /dev/stdout"),
        1,
    );
    let scores: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(scores.len(), 3, "{lines:?}");
    assert_eq!((&lines[0][..], &lines[lines.len() - 1][..]), ("before", "after"));
    assert_eq!(desk.names("stream"), ["digits.png", "model.safetensors"]);
    let drawn = desk.command("sample out/model.safetensors --count 1 --out /dev/stderr").output().unwrap();
    assert!(is_picture(&drawn.stderr) && drawn.stdout == b"wrote 1 images to /dev/stderr\n");
}

#[test]
fn a_pipe_with_a_name_is_written_through() {
    let desk = desk();
    let pipe = desk.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let run = Running::start(&desk, &format!("train vae {TRAIN} --validate-every 20 --out out --json pipe"));
    let said = fs::read_to_string(&pipe).unwrap();
    assert_eq!(run.end().0, Some(0));
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(!fs::metadata(&pipe).unwrap().is_file());

    // A command that waits for a reader can be interrupted.
    let run = Running::start(&desk, &format!("train vae {TRAIN} --out other --json pipe"));
    wait_for(&desk.path("other/model.safetensors"));
    run.signal("INT");
    assert_eq!(run.end().0, Some(130));
}

fn wait_for(path: &Path) {
    let begin = Instant::now();
    while !path.exists() {
        assert!(begin.elapsed() < Duration::from_secs(60), "no {}", path.display());
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn signals_that_are_ignored_stay_ignored() {
    let desk = desk();
    let line = format!("train vae {ENDLESS} --out out");
    let mut run = Running::start_with(&desk, "--ignore-signal=HUP,INT", &line);
    run.wait_for_step_after(&desk.path("out/metrics.jsonl"), 0);
    run.signal("HUP");
    run.signal("INT");
    let lines = desk.metrics("out/metrics.jsonl");
    run.wait_for_step_after(
        &desk.path("out/metrics.jsonl"),
        lines.last().unwrap()["step"].as_u64().unwrap() + 2000,
    );
    run.signal("TERM");
    let (code, said) = run.end();
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("stopped after "), "{said}");
}

/// Steps that take many seconds each.
const SLOW: &str = "--data data --steps 10 --hidden 16 --latents 100 --classes 10 --batch 250 --samples 2 \
                    --estimator gumbel-rao:1000:1 --threads 1";

#[test]
fn the_first_interrupt_is_noted_and_the_second_ends_at_once() {
    let desk = desk();
    let mut run = Running::start(&desk, &format!("train vae {SLOW} --out out"));
    wait_for(&desk.path("out/metrics.jsonl"));
    sleep(Duration::from_millis(300));
    let begin = Instant::now();
    run.signal("INT");
    let mut noted = String::new();
    BufReader::new(run.0.stderr.as_mut().unwrap()).read_line(&mut noted).unwrap();
    assert_eq!(noted, "stopping at the end of this step; press Ctrl-C again to stop at once\n");
    assert!(run.0.try_wait().unwrap().is_none(), "a step ended too soon to tell");
    run.signal("INT");
    assert_eq!(run.end().0, Some(130));
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert_eq!(run_in(&desk.path("out")), (1, 0));
    desk.error("--resume", &desk.output("train vae --out out --resume"));
}

#[test]
fn an_interrupt_ends_the_final_bound_within_a_second() {
    let desk = desk();
    let mut run = Running::start(&desk, &format!("train vae {TRAIN} --samples 100000 --out out"));
    // The picture is drawn before the final bound.
    wait_for(&desk.path("out/digits.png"));
    sleep(Duration::from_millis(200));
    assert!(run.0.try_wait().unwrap().is_none());
    let begin = Instant::now();
    run.signal("INT");
    let (code, said) = run.end();
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(code, Some(130), "{said}");
    assert!(said.ends_with("reparam train vae --out out --resume --data data --samples 100000\n"), "{said}");
    assert_eq!(desk.names("out"), ["digits.png", "metrics.jsonl", "model.safetensors"]);
}

#[test]
fn a_run_without_a_reader_is_saved() {
    let desk = desk();
    let line = format!("train vae {ENDLESS} --validate-every 3000 --out out");
    let mut run = Running::start(&desk, &line);
    let mut said = String::new();
    BufReader::new(run.0.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.starts_with("vae: "), "{said}");
    let code = run.0.wait().unwrap().code();
    assert_eq!((code, run_in(&desk.path("out"))), (Some(141), (1, 3000)));
}
