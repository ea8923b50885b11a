//! Every integration test of the platform that needs no socket, in one binary.

mod apply;
mod architecture;
mod at_rest;
mod audited;
mod backup;
mod clients;
mod flow;
mod isolation;
mod issuers;
mod known_clients;
mod logs;
mod migrations;
mod outages;
mod requests;
mod sources;
mod threats;
