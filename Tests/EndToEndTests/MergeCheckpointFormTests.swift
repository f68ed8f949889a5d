import Foundation
import TestSupport
import Testing

/// Forms in which people have adapters, heads and labels, from the command line.
@Suite struct MergeCheckpointFormTests {
    let scratch: TemporaryFolder

    init() throws {
        scratch = try TemporaryFolder()
        try scratch.copy(Samples.adapter("corn"), to: "corn")
    }

    /// An adapter's tensors without those of its head, which go to a file of their own.
    private func takeHead() throws {
        let script = try scratch.read("corn/adapter_model.safetensors")
        let length = Int(script[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        let header = String(decoding: script[8..<8 + length], as: UTF8.self)
        // Under another name the same tensors belong to nobody's head.
        try #require(header.contains("base_model.model.classifier.weight"))
        let hidden = header.replacing(
            "base_model.model.classifier.", with: "base_model.model.classifier.original_module.")
        let bytes = Array(hidden.utf8)
        try scratch.write(
            "corn/adapter_model.safetensors",
            withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { Array($0) } + bytes + script[(8 + length)...])
        let settings = String(decoding: try scratch.read("corn/adapter_config.json"), as: UTF8.self)
        let range = try #require(settings.firstRange(of: /"modules_to_save": \[[^\]]*\]/))
        try scratch.write(
            "corn/adapter_config.json",
            Array(settings.replacingCharacters(in: range, with: "\"modules_to_save\": null").utf8))
    }

    private func said(_ arguments: [String], _ code: Int32 = 3) throws -> String {
        let run = try runMergeVit(arguments, folder: scratch.url)
        #expect(run.exitCode == code && run.standardOutput.isEmpty, "\(run.exitCode): \(run.errors)")
        return run.errors
    }

    @Test func aHeadKeptElsewhereIsMergedCheckedAndMadeAgain() throws {
        try takeHead()
        try scratch.copy(Samples.head("corn"), to: "h.safetensors")
        let arguments = ["--base", Samples.base, "--adapter", "corn=corn", "--head", "corn=h.safetensors"]
        #expect(try said(["merge", "-q"] + arguments + ["-o", "out"], 0).isEmpty)
        let check = try runMergeVit(["check"] + arguments, folder: scratch.url)
        #expect(check.exitCode == 0, "\(String(decoding: check.standardOutput, as: UTF8.self))")
        // The files have moved.
        try scratch.copy(scratch.path("h.safetensors"), to: "moved.safetensors")
        try scratch.remove("h.safetensors")
        let again = ["merge", "-q", "--recipe", "out/bundle.json", "-o", "again"]
        #expect(try said(again).contains("h.safetensors: No such file or directory"))
        #expect(try said(again + ["--head", "corn=moved.safetensors"], 0).isEmpty)
        #expect(try scratch.read("again/heads.safetensors") == scratch.read("out/heads.safetensors"))
        #expect(try scratch.read("again/model.safetensors") == scratch.read("out/model.safetensors"))
        try scratch.copy(Samples.head("trash"), to: "other.safetensors")
        #expect(
            try said(again + ["--force", "--head", "corn=other.safetensors"]).contains("not the file that was merged"))
        #expect(
            try said(["merge"] + arguments + ["--head", "x=y", "-o", "z"], 2).contains("no --adapter of that name"))
    }

    @Test func theBasesHeadAnswersWithItsNames() throws {
        try takeHead()
        try scratch.remove("corn/labels.json")
        let run = try said(["merge", "--base", Samples.base, "--adapter", "corn=corn", "-o", "out"], 0)
        #expect(run.contains("warning: corn: no head of its own, so the head of \(Samples.base) answers (200 classes"))
        let rows = try table(label(scratch.path("out"), [Samples.folder + "/images/flowers"]))
        #expect(
            !rows.isEmpty
                && rows.allSatisfy { $0["corn"]?.isEmpty == false && $0["corn"]?.hasPrefix("LABEL_") == false })
    }

    @Test(
        arguments: [
            (#"{"healthy": 3, "blight": 0, "common_rust": 1, "gray_leaf_spot": 2}"#, nil),
            (#"{"label2id": {"healthy": 3, "blight": 0, "common_rust": 1, "gray_leaf_spot": 2}}"#, nil),
            (
                #"{"1": "blight", "2": "common_rust", "3": "gray_leaf_spot", "4": "healthy"}"#,
                "numbers must run from 0 to 3"
            ),
            (#"{"blight": 0, "common_rust": 1, "gray_leaf_spot": 3}"#, "numbers must run from 0 to 2"),
            (#"{"id2label":"#, "not valid JSON"), ("{}", "no class names: expected"),
        ] as [(String, String?)])
    func namesBesideAreReadOrRefusedAsThoseThatAreNamed(_ text: String, _ reason: String?) throws {
        try scratch.write("corn/labels.json", Array(text.utf8))
        for labels in [[], ["--labels", "corn=corn/labels.json"]] {
            let run = try merge(["-q", "--adapter", "corn=corn", "-o", "out", "--force"] + labels, in: scratch)
            #expect(
                run.exitCode == (reason == nil ? 0 : 3) && (reason.map(run.errors.contains) ?? run.errors.isEmpty),
                "\(run.errors)")
            guard reason == nil else {
                #expect(run.errors.hasPrefix("mergevit: error: corn/labels.json: "))
                continue
            }
            let manifest = String(decoding: try scratch.read("out/bundle.json"), as: UTF8.self)
            let order = ["blight", "common_rust", "gray_leaf_spot", "healthy"].map {
                manifest.firstRange(of: "\"\($0)\"")?.lowerBound
            }
            #expect(zip(order, order.dropFirst()).allSatisfy { a, b in a.flatMap { a in b.map { a < $0 } } == true })
        }
    }

    @Test func theWrongKindOfThingSaysWhatToDo() throws {
        try scratch.write("x.png", [])
        #expect(
            try said(["label", "--bundle", "corn", "x.png"])
                == "mergevit: error: corn: an adapter, not a bundle; merge it first: mergevit merge --base BASE "
                + "--adapter "
                + "NAME=corn -o BUNDLE\n")
        #expect(
            try said(["label", "--bundle", "google/vit-base-patch16-224", "x.png"])
                == "mergevit: error: google/vit-base-patch16-224: No such file or directory; if it is the name "
                + "of a model on the "
                + "Hugging Face Hub, download it first: hf download google/vit-base-patch16-224 --local-dir DIR\n")
        #expect(
            try said(["label", "--bundle", "corn/adapter_model.safetensors", "x.png"])
                == "mergevit: error: corn/adapter_model.safetensors: a file; expected the folder\n")
        #expect(
            try said(["merge", "--base", "corn", "--adapter", "corn=corn", "-o", "out"])
                == "mergevit: error: corn: an adapter, not a base; give it with --adapter NAME=corn, and with "
                + "--base the model "
                + "that it was made for\n")
        #expect(
            try said(["merge", "--base", Samples.base, "--adapter", "a=\(Samples.base)", "-o", "out"])
                .contains("a whole checkpoint (config.json), not an adapter"))
    }
}
