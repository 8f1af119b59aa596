//! What must hold for any bytes: with generated input, and with the seeds of the fuzz targets.

mod generated;
mod invariants;
mod seeds;
