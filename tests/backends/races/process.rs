//! One of the processes.

use std::{env, sync::Arc};

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    sync::Barrier,
    task::JoinSet,
};

use super::{
    TASKS,
    contest::{Contest, Ground},
    stores,
};

/// Where the parent listens.
pub(super) const SOCKET: &str = "RACE_SOCKET";
/// What to open.
pub(super) const STORE: &str = "RACE_STORE";
/// Which process this is.
pub(super) const NUMBER: &str = "RACE_NUMBER";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "one of the processes of the other tests here, which start it"]
async fn one_of_several() {
    let mut stream = BufReader::new(UnixStream::connect(variable(SOCKET)).await.expect("the parent listens"));
    if let Err(error) = take_part(&mut stream).await {
        let told = format!("failed: {error:#}\n").replace('\n', " ") + "\n";
        stream.get_mut().write_all(told.as_bytes()).await.expect("the parent listens");
    }
}

#[expect(clippy::disallowed_methods, reason = "how the parent says what to do")]
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: this is started by the other tests here"))
}

/// Does as it is told, until the parent ends.
async fn take_part(stream: &mut BufReader<UnixStream>) -> Result<()> {
    let ground = Arc::new(Ground::new(stores::open(&variable(STORE).parse()?).await?));
    let number = variable(NUMBER);
    stream.get_mut().write_all(b"open\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let words: Vec<_> = line.split_whitespace().collect();
        let answer = match words[..] {
            ["prepare", contest, round] => ground.prepare(contest.parse()?, round.parse()?).await?,
            ["line-up", contest, round, prize] => {
                let (contest, round, prize) = (contest.parse()?, round.parse()?, prize.to_owned());
                contest_of(&ground, &number, contest, round, prize, stream).await?
            }
            ["judge", contest, round, winner] => ground.judge(contest.parse()?, round.parse()?, winner).await?,
            _ => bail!("what is {line}?"),
        };
        stream.get_mut().write_all(format!("{answer}\n").as_bytes()).await?;
    }
}

/// All tasks stand ready, then the parent gives the word; the winners among them.
async fn contest_of(
    ground: &Arc<Ground>,
    number: &str,
    contest: Contest,
    round: u32,
    prize: String,
    stream: &mut BufReader<UnixStream>,
) -> Result<String> {
    let (gate, prize) = (Arc::new(Barrier::new(TASKS + 1)), Arc::new(prize));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (gate, ground, prize) = (Arc::clone(&gate), Arc::clone(ground), Arc::clone(&prize));
        let name = format!("{number}-{task}");
        tasks.spawn(async move {
            gate.wait().await;
            let won = ground.attempt(contest, round, &prize, &name).await?;
            anyhow::Ok(won.then_some(name))
        });
    }
    stream.get_mut().write_all(b"lined-up\n").await?;
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    anyhow::ensure!(line.trim() == "go", "what is {line}?");
    gate.wait().await;
    let mut answer = "winners:".to_owned();
    while let Some(outcome) = tasks.join_next().await {
        if let Some(winner) = outcome?.with_context(|| format!("{contest}, round {round}"))? {
            answer = answer + " " + &winner;
        }
    }
    Ok(answer)
}
