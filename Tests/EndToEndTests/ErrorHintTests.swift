import Datasets
import Files
import Labelling
import TestSupport
import Testing
import Training

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
    ]

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
