//! Writes `src/table.rs` anew: `cargo run -p owl-egress --example generate_table`.

#[path = "../table/generate.rs"]
mod generate;

fn main() -> std::io::Result<()> {
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/table.rs"), generate::table())
}
