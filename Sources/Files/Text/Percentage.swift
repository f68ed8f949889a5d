/// A share as a percentage, rounded down: less than all never looks like 100 %, and too little never like enough.
///
/// - Parameter share: at least 0.
package func percentage(roundingDown share: Double, decimals: Int) -> String {
    let factor = (0..<decimals).reduce(1) { product, _ in 10 * product }
    let parts = Int((share * Double(100 * factor)).rounded(.down))
    guard decimals > 0 else { return "\(parts) %" }
    let rest = String(parts % factor)
    return "\(parts / factor)." + String(repeating: "0", count: decimals - rest.count) + rest + " %"
}
