import ArgumentParser
import Labelling

/// The options of `label` about dividing a run among machines.
struct ShardOptions: ParsableArguments {
    @Option(help: "Label only the K-th of N parts of the inputs, given as K/N; gather puts the parts together.")
    var shard: String?

    @Option(help: "What every part has about as much of: count of inputs, or bytes of their files.")
    var balance = Shard.Balance.count

    @Flag(help: "Write FILE.manifest.json beside the rows; always done with --shard.")
    var manifest = false

    /// The part that is asked for.
    var part: Shard? { shard.flatMap { Shard($0, balance: balance) } }

    /// Whether a manifest is to be written.
    var writesManifest: Bool { manifest || shard != nil }

    func validate() throws {
        guard shard == nil || part != nil else {
            throw ValidationError(
                "--shard must be K/N with 1 <= K <= N <= \(Shard.maximumParts), not \(shard ?? "").")
        }
        guard shard != nil || balance == .count else { throw ValidationError("--balance needs --shard.") }
    }
}

extension Shard.Balance: ExpressibleByArgument {}
