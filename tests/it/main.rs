//! Every integration test of the platform that needs no socket, in one binary.

mod apply;
mod architecture;
mod at_rest;
mod backup;
mod flow;
mod isolation;
mod migrations;
mod outages;
mod sources;
mod threats;
