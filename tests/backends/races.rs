//! Who is first: 64 tasks in each of several processes want what only one may have, round after round.
//!
//! Each process is this test binary again, which runs [`process::one_of_several`]. The parent gives the word: all of
//! them make ready, then all of them try.

mod contest;
mod process;
mod stores;

use std::{path::PathBuf, process::Stdio, time::Duration};

use tempfile::TempDir;
use tests::{Database, Prefix, server};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    process::{Child, Command},
    time::{Instant, timeout},
};

use self::{contest::Contest, stores::At};

/// How many tasks each process has.
const TASKS: usize = 64;
/// How many times.
const ROUNDS: u32 = 200;
/// How many times in the ordinary run what is a transaction of several statements for each task.
const FEW: u32 = 50;
/// For how long a process may think.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that takes part.
struct Participant {
    stream: BufReader<UnixStream>,
    _child: Child,
}

impl Participant {
    async fn tell(&mut self, line: &str) {
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes()).await.expect("it listens");
    }

    /// What it says next.
    async fn hear(&mut self) -> String {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.stream.read_line(&mut line)).await.expect("it answers in time");
        read.expect("a line");
        assert!(!line.is_empty(), "a process ended");
        let line = line.trim_end();
        assert!(!line.starts_with("failed"), "{line}");
        line.to_owned()
    }
}

/// Starts processes that have the store open.
async fn participants(processes: usize, at: &At, home: &TempDir) -> Vec<Participant> {
    let socket: PathBuf = home.path().join("socket");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let mut participants = Vec::new();
    for number in 0..processes {
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["races::process::one_of_several", "--exact", "--ignored", "--nocapture"])
            .env(process::SOCKET, &socket)
            .env(process::STORE, at.to_string())
            .env(process::NUMBER, number.to_string())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        // One after the other: they are numbered, and a fresh SQLite file is made by one of them.
        let (stream, _) = timeout(PATIENCE, listener.accept()).await.expect("it connects in time").expect("a stream");
        let mut participant = Participant { stream: BufReader::new(stream), _child: child };
        assert_eq!(participant.hear().await, "open");
        participants.push(participant);
    }
    participants
}

/// Every contest, every round: exactly one of all tasks wins, and what is stored is the winner's.
async fn race(processes: usize, at: &At, home: &TempDir, contests: &[Contest], rounds: u32) {
    let mut participants = participants(processes, at, home).await;
    for contest in contests {
        let start = Instant::now();
        for round in 0..rounds {
            let judge = usize::try_from(round).expect("few") % processes;
            participants[0].tell(&format!("prepare {contest} {round}")).await;
            let prize = participants[0].hear().await;
            for participant in &mut participants {
                participant.tell(&format!("line-up {contest} {round} {prize}")).await;
            }
            for participant in &mut participants {
                assert_eq!(participant.hear().await, "lined-up");
            }
            for participant in &mut participants {
                participant.tell("go").await;
            }
            let mut winners = Vec::new();
            for participant in &mut participants {
                let said = participant.hear().await;
                winners.extend(said.split_whitespace().skip(1).map(str::to_owned));
            }
            assert_eq!(winners.len(), 1, "{contest} on {at}, round {round}: {winners:?}");
            participants[judge].tell(&format!("judge {contest} {round} {}", winners[0])).await;
            assert_eq!(participants[judge].hear().await, "right", "{contest} on {at}, round {round}");
        }
        let tasks = processes * TASKS;
        println!("{contest} on {at}: {rounds} rounds of {tasks} tasks, one winner each, {:?}", start.elapsed());
    }
}

fn home() -> TempDir {
    tempfile::Builder::new().prefix("race").tempdir_in("/tmp").expect("a directory")
}

#[tokio::test]
async fn one_wins_on_postgres() {
    let database = Database::create(&server("TEST_POSTGRES")).await;
    let at = At::Postgres(database.url.clone());
    race(4, &at, &home(), &Contest::VALUES, ROUNDS).await;
    race(4, &at, &home(), &Contest::GRANTS, FEW).await;
}

#[tokio::test]
#[ignore = "takes minutes: cargo xtask soak"]
async fn soak_one_redeems_and_one_is_first_to_rotate_on_postgres() {
    let database = Database::create(&server("TEST_POSTGRES")).await;
    race(4, &At::Postgres(database.url.clone()), &home(), &Contest::GRANTS, ROUNDS).await;
}

#[tokio::test]
async fn one_wins_on_redis() {
    let prefix = Prefix::on(&server("TEST_REDIS"));
    race(4, &At::Redis(prefix.url.clone(), prefix.name.clone()), &home(), &Contest::VALUES, ROUNDS).await;
}

#[tokio::test]
async fn one_wins_on_valkey() {
    let prefix = Prefix::on(&server("TEST_VALKEY"));
    race(4, &At::Redis(prefix.url.clone(), prefix.name.clone()), &home(), &Contest::VALUES, ROUNDS).await;
}

#[tokio::test]
async fn one_wins_on_sqlite_in_one_process() {
    let home = home();
    race(1, &At::Sqlite(home.path().into()), &home, &Contest::VALUES, ROUNDS).await;
}

#[tokio::test]
async fn one_wins_on_sqlite_in_two_processes() {
    let home = home();
    race(2, &At::Sqlite(home.path().into()), &home, &Contest::VALUES, ROUNDS).await;
}
