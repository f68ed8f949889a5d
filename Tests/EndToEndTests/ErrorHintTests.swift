import Adapters
import Datasets
import Evaluation
import Files
import Labelling
import TestSupport
import Testing
import Training
import VisionTransformers
import Workflows

@testable import mergevit

@Suite struct ErrorHintTests {
    static let hints: [(any Error, String)] = [
        (OutputError.exists(path: BytePath("out")), "; --force replaces it"),
        (OutputError.notOurs(path: BytePath("out"), reason: "it exists"), "; --force replaces it"),
        (LabellingError.resume(partial: BytePath("out.partial"), reason: "it is another's"), "; --restart drops it"),
        (UnfinishedRun(path: ".out.training"), "; --resume continues it, --force starts over"),
        (UnknownTask("brids", tasks: ["cars", "birds"]), " Did you mean 'birds'?"),
        (UnknownTask("trash", tasks: ["cars", "birds"]), ""),
        (OutputError.cannotWrite(path: BytePath("out"), reason: "Read-only file system"), ""),
        (NoInputs(places: ["photos"], endings: nil), "; --allow-empty accepts that"),
        (NoInputs(places: ["p"], endings: ["jpg"]), "; --endings names the extensions; --allow-empty accepts that"),
        (
            LabellingError.labelSeparator("|", class: "a|b", task: "t"),
            ": choose another by --label-separator, or --layout long or --format jsonl"
        ),
        (LabellingError.needsFile, "; name it with -o, or omit --shard and --manifest"),
        (
            LabellingError.manifest(path: BytePath("a.csv.manifest.json"), reason: "No such file or directory"),
            "; it is written beside the rows by label --shard"
        ),
        (LabellingError.options("there is no task to write"), ""),
        (EvaluationSettingsError.noAccuracy(task: "t", .identity), ""),
        (
            EvaluationSettingsError.noAccuracy(task: "t", .sigmoid),
            "; --min-map t=... sets a smallest mean average precision"
        ),
        (
            EvaluationSettingsError.noMeanPrecision(task: "t", .softmax),
            "; --min-accuracy t=... sets a smallest accuracy"
        ),
        (FileError(path: "t.csv", reason: "the table has no rows"), ""),
        (
            FileError(path: "t.csv", reason: "the table has no column \"c\"", remedy: TableRemedy.namePathColumn),
            "; --path-column NAME chooses one"
        ),
        (
            FileError(
                path: "t.csv", reason: "cells hold labels", remedy: PredictionsRemedy.readAs(.sigmoid, task: "t")),
            "; use --activation t=sigmoid"
        ),
        (
            ModelError("a", "holds heads of several tasks", remedy: AdapterRemedy.giveHead(task: "t", path: "h.bin")),
            ": --head t=h.bin"
        ),
        (ModelError("d", "takes 9 MiB", remedy: TrainingRemedy.raiseImageMemory), "; --image-memory sets the limit"),
        (ModelError("a", "an adapter", remedy: ModelRemedy.giveAdapter("a")), "; give it with --adapter NAME=a"),
    ]

    static let subjects: [(any Error, String)] = [
        (LoRATargetsError.targets("\"q\" is not one of query, key"), "--targets: "),
        (LoRATargetsError.layers("the base has layers 0 to 5, not 6"), "--layers: "),
        (StudyPlanError.sizes("3 is not from 1 to 2"), "--sizes: "),
        (StudyPlanError.methods("\"sums\" is not known"), "--methods: "),
    ]

    @Test(arguments: subjects.indices)
    func errorsAboutTheValueOfAnOptionBeginWithIt(_ index: Int) {
        let (error, option) = Self.subjects[index]
        #expect(mergevit.description(of: error) == "\(option)\(error)")
    }

    @Test func warningsThatAnOptionHelpsWithNameIt() {
        let warning = Warning("no cell contains \"|\"", remedy: TableRemedy.nameLabelSeparator).about("t")
        #expect(
            mergevit.description(of: warning)
                == "t: no cell contains \"|\"; --label-separator names another separator")
        #expect(mergevit.description(of: "plain" as Warning) == "plain")
    }

    @Test(arguments: hints.indices)
    func errorsThatAnOptionHelpsWithNameIt(_ index: Int) {
        let (error, hint) = Self.hints[index]
        #expect(ErrorHints.hint(for: error) == hint)
        #expect(!"\(error)".contains("--"))
    }

    @Test(arguments: [
        ("lable", "label"), ("inspct", "inspect"), ("eval", "evaluate"), ("MERGE", "merge"), ("tarin", "train"),
    ])
    func aMistypedNameIsSuggested(_ word: String, _ name: String) throws {
        let names = ["train", "merge", "check", "label", "inspect", "evaluate"]
        #expect(Suggestion.closest(to: word, among: names) == name)
        let run = try runMergeVit(word, "x")
        #expect(run.exitCode == 2 && run.standardOutput.isEmpty)
        #expect(run.errors.hasPrefix("mergevit: error: Unknown subcommand '\(word)'. Did you mean '\(name)'?"))
    }

    @Test func nothingIsSuggestedForAnotherWord() {
        #expect(Suggestion.closest(to: "photos", among: ["train", "merge", "label"]) == nil)
        #expect(Suggestion.closest(to: "", among: ["train"]) == nil)
    }
}
