import Adapters
import ArgumentParser

/// The options that say what a merge is written as.
struct OutputForm: ParsableArguments {
    /// What a merge is written as.
    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case bundle
        case adapter
    }

    @Option(name: .customLong("as"), help: "What is written: a bundle, or a PEFT adapter over the unchanged base.")
    var kind = Kind.bundle

    @Option(help: "With --as adapter: the largest rank of a module; what is beyond it is cut off.")
    var rank: Int?

    @Option(
        name: .customLong("key-names"), help: "With --as adapter: whose names modules have (default: transformers5).")
    var names: Names?

    /// Whose names the modules of an adapter have.
    enum Names: String, ExpressibleByArgument, CaseIterable {
        case transformers5
        case transformers4
    }

    /// Whose names the modules have.
    var keyNames: ModuleNames { names == .transformers4 ? .transformers4 : .transformers5 }

    func validate() throws {
        if kind == .bundle, rank != nil || names != nil {
            throw ValidationError("--rank and --key-names belong to --as adapter.")
        }
        if let rank, !(1...65536).contains(rank) {
            throw ValidationError("--rank: expected a whole number from 1 to 65536, found \(rank).")
        }
    }

    /// What an adapter holds, in words.
    static func summary(_ result: AdapterWriter.Result) -> String {
        let ranks = result.ranks
        var text = "\(result.modules) module\(result.modules == 1 ? "" : "s") of rank \(ranks.lowerBound)"
        if ranks.upperBound > ranks.lowerBound { text += " to \(ranks.upperBound)" }
        guard let worst = result.worst else { return text + ", nothing cut off" }
        return text + ", \(percent(result.energy)) of the change's energy kept, least in \(worst.module) "
            + "(\(percent(worst.energy)))"
    }

    private static func percent(_ part: Double) -> String {
        // Rounded down, so that only the whole is 100 %.
        let hundredths = Int(part * 10000)
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest) %"
    }
}
