mod access;
mod archives;
mod feed;
mod migrations;
mod outages;
mod place;
mod removals;
mod repositories;
mod values;

use self::place::{Places, at, clock};
