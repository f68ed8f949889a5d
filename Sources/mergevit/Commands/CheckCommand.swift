import Adapters
import ArgumentParser
import Files
import Tensors
import VisionTransformers

/// `mergevit check`.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Say what stands in the way of a merge, and how much the adapters interfere.",
        discussion: """
            Lists everything that stands in the way at once. Then, for each pair of adapters: the ratio of their changes' \
            norms, the cosine between the changes, how much the spaces overlap that they write to (columns) and read \
            from (rows), and the clash, which is sqrt(columns x rows) x (1 - cosine) / 2. All but the ratio are means over \
            the parameters that both change, weighted by the norms; --json has every parameter.

            Exit codes: 0 nothing stands in the way, 2 wrong usage, 3 something does.
            """)

    @Option(help: "The Hugging Face folder of the base.")
    var base: String

    @Option(name: .customLong("adapter"), help: "An adapter, as NAME=DIR; may be repeated.")
    var adapters: [NamedValue] = []

    @Option(name: .customLong("labels"), help: "The class names of an adapter, as NAME=FILE; may be repeated.")
    var labels: [NamedValue] = []

    @Option(
        name: .customLong("activation"),
        help: "What an adapter's head was trained for, as NAME=softmax, sigmoid or none; may be repeated.")
    var activations: [NamedValue] = []
    @OptionGroup var headFiles: HeadFileOption

    @OptionGroup var otherBase: OtherBaseOption
    @OptionGroup var preprocessor: PreprocessorOptions

    @Flag(help: "Everything as JSON.")
    var json = false

    func validate() throws {
        try RawArguments.checkText([base] + (adapters + labels + headFiles.heads).flatMap { [$0.name, $0.value] })
        guard !adapters.isEmpty else { throw ValidationError("Give at least one --adapter NAME=DIR.") }
        try NamedValue.check(labels, option: "--labels", among: adapters.map(\.name))
        try NamedValue.check(headFiles.heads, option: "--head", among: adapters.map(\.name))
        try NamedValue.checkActivations(activations, among: adapters.map(\.name))
    }

    func run() throws {
        let check = showingStages(isQuiet: false) {
            MergeCheck(
                base: base, preprocessor: preprocessor.choice,
                adapters: adapters.map {
                    .init(
                        name: $0.name, path: $0.value, labels: labels.value(of: $0.name),
                        headFile: headFiles.heads.value(of: $0.name),
                        activation: activations.activation(of: $0.name))
                },
                allowsOtherBase: otherBase.isAllowed)
        }
        StandardStream.output.write(json ? CheckReport.json(check).serialized() : CheckReport.text(check))
        if !check.isPossible { throw ExitCode(Exit.unusable) }
    }
}
