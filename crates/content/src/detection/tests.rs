use super::*;

#[test]
fn the_shipped_detections_are_without_a_fault() {
    match shipped() {
        Ok(parsed) => assert_eq!(parsed.len(), SHIPPED.len()),
        Err(faults) => {
            let faults = faults.faults().iter();
            let told: Vec<String> = faults
                .map(|fault| format!("{}:{}: {fault}", fault.file(), fault.line()))
                .collect();
            panic!("{}", told.join("\n"));
        }
    }
}
