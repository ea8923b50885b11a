use std::fmt;

use anyhow::Result;
use tests::Answer;

/// Why a step came to nothing.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// No answer, or one that says to come again: whether it was done is not known.
    Away(String),
    /// An answer that says no.
    Refused(Box<Answer>),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(why) => f.write_str(why),
            Self::Refused(answer) => write!(f, "{}: {}", answer.status, answer.body),
        }
    }
}

/// The answer, if there is one and it has this status.
pub(crate) fn want(status: u16, answer: Result<Answer>) -> Result<Answer, Trouble> {
    match answer {
        Err(error) => Err(Trouble::Away(format!("{error:#}"))),
        Ok(answer) if answer.status == status => Ok(answer),
        Ok(answer) if answer.status.is_server_error() => {
            Err(Trouble::Away(format!("{}: {}", answer.status, answer.body)))
        }
        Ok(answer) => Err(Trouble::Refused(Box::new(answer))),
    }
}
