mod feed;
mod migrations;
mod outages;
mod place;
mod values;

use self::place::{Places, at, clock};
