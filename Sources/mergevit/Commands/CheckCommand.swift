import Adapters
import ArgumentParser
import Files
import Images
import Tensors
import VisionTransformers
import Workflows

/// `mergevit check`.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Report what would prevent a merge, and which adapters interfere.",
        discussion: """
            Reports all problems at once. Then, for each pair of adapters: the ratio of their \
            changes' norms, the cosine between the changes, how much the spaces overlap that they write to (columns) \
            and read from (rows), and the clash, which is sqrt(columns x rows) x (1 - cosine) / 2. All but the ratio \
            are means over the parameters that both change, weighted by the norms; --json has every parameter.

            Example:
              mergevit check --base vit-base --adapter birds=adapters/birds --adapter cars=adapters/cars

            Exit codes: 0 the merge is possible; 2 wrong usage; 3 it is not.
            """)

    @OptionGroup(title: "Required") var base: BaseOption
    @OptionGroup(title: "Adapters") var named: NamedAdapterOptions
    @OptionGroup(title: "Project") var project: ProjectOptions
    @OptionGroup(title: "Preprocessing") var preprocessor: PreprocessorOptions

    @Flag(help: "Print everything as JSON.")
    var json = false

    func validate() throws {
        guard !named.adapters.isEmpty else { throw ValidationError("Give at least one --adapter NAME=DIR.") }
        try named.checkNames()
        try named.checkActivations()
    }

    func run() throws {
        let check = showingStages(isQuiet: false) {
            MergeCheck(
                base: base.base.text, preprocessor: preprocessor.choice,
                adapters: named.sources, allowsOtherBase: named.otherBase.isAllowed,
                describe: description(of:))
        }
        StandardStream.output.write(json ? CheckReport.json(check).serialized() : CheckReport.text(check))
        if !check.isPossible { throw ExitCode(Exit.unusable) }
    }
}
