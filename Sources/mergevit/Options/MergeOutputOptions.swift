import Adapters
import ArgumentParser
import Workflows

/// The options that say what a merge is written as.
struct MergeOutputOptions: ParsableArguments {
    /// What a merge is written as.
    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case bundle
        case adapter
    }

    @Option(name: .customLong("as"), help: .init("FORM", "Write a bundle, or a PEFT adapter over the unchanged base."))
    var kind = Kind.bundle

    @Option(help: .init("N", "Largest rank of a module of the adapter; the rest is cut off."))
    var rank: Int?

    @Option(
        name: .customLong("key-names"),
        help: .init("LIBRARY", "Module names of the adapter (default: transformers5)."))
    var names: Names?

    /// Whose names the modules of an adapter have.
    enum Names: String, ExpressibleByArgument, CaseIterable {
        case transformers5
        case transformers4
    }

    /// What is written.
    var form: MergeJob.Form {
        switch kind {
        case .bundle: .bundle
        case .adapter: .adapter(rank: rank, names: names == .transformers4 ? .transformers4 : .transformers5)
        }
    }

    func validate() throws {
        if kind == .bundle, rank != nil || names != nil {
            throw ValidationError("--rank and --key-names belong to --as adapter.")
        }
        try check("--rank", rank, in: 1...65536)
    }
}
