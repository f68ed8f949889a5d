import Files
import Foundation
import Tensors
import TestSupport
import Testing

/// Merges that look at images: their recipes, the choice of parameters, and what they refuse.
@Suite struct MergeCalibrationTests {
    let scratch: TemporaryFolder
    let tasks = ["traffic", "aerial"]

    init() throws {
        scratch = try TemporaryFolder()
        try scratch.copy(Samples.folder + "/images", to: "images")
    }

    private func merged(_ arguments: [String]) throws -> Finished {
        try merge(adapters(tasks) + arguments, in: scratch)
    }

    private func recipe(_ bundle: String) throws -> JSONObject {
        try #require(try JSON(parsing: scratch.read("\(bundle)/bundle.json")).objectValue?["recipe"]?.objectValue)
    }

    @Test func aMergeWithImagesIsMadeAgainFromItsRecipe() throws {
        let run = try merged(["--calibration", "images", "--align", "-o", "first"])
        #expect(
            run.exitCode == 0 && run.errors.contains("aerial: aligned on \(Samples.imageCount) images"), "\(run.errors)"
        )
        func again(_ name: String, _ arguments: [String] = []) throws -> Finished {
            try runMergeVit(["merge", "--recipe", "first/bundle.json", "-o", name] + arguments, folder: scratch.url)
        }
        #expect(try again("second").exitCode == 0)
        for name in try scratch.entries("first") {
            #expect(try scratch.read("first/\(name)") == scratch.read("second/\(name)"), "\(name)")
        }
        try FileManager.default.moveItem(atPath: scratch.path("images"), toPath: scratch.path("moved"))
        #expect(try again("third").exitCode == 3)
        #expect(try again("third", ["--calibration", "moved"]).exitCode == 0)
        for name in ["model.safetensors", "heads.safetensors"] {
            #expect(try scratch.read("first/\(name)") == scratch.read("third/\(name)"))
        }
        try scratch.remove("moved/signs/stop.png")
        let other = try again("fourth", ["--calibration", "moved"])
        #expect(
            other.exitCode == 3 && other.errors.contains("not the calibration images of \"traffic\" that were used"),
            "\(other.errors)")
        #expect(try !scratch.entries().contains("fourth"))
    }

    @Test func testImagesOfAFolderOfSplitsAreNotLookedAt() throws {
        for (part, name) in [("Train", "train"), ("valid", "val"), ("test", "test")] {
            for class_ in ["stop", "yield"] {
                for index in 0..<12 {
                    try scratch.write("s/\(part)/\(class_)/\(name)\(index).png", TrainingScene.stripes(true, index))
                }
            }
        }
        let arguments = ["--adapter", "stripes=\(Samples.adapter("aerial"))", "--tune", "-o"]
        let run = try merge(arguments + ["a", "--calibration", "s"], in: scratch)
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(
            run.errors.contains(
                "warning: s is divided into Train, valid and test; only the images of s/Train are looked at"))
        let calibration = try #require(try recipe("a")["calibration"]?.objectValue)
        let images = try #require(calibration["images"]?.arrayValue?.first?.objectValue)
        #expect(images["count"]?.intValue == 24 && images["folders"] == .array(["s/Train"]))
        #expect(try runMergeVit("merge", "--recipe", "a/bundle.json", "-o", "b", folder: scratch.url).exitCode == 0)
        try scratch.remove("s/Train")
        for option in ["--calibration", "--labelled"] {
            let refused = try merge(arguments + ["c", option, "stripes=s"], in: scratch)
            #expect(refused.exitCode == 3 && refused.output.isEmpty)
            #expect(
                refused.errors == "mergevit: error: s: is divided into valid and test, and has no training images: "
                    + "expected a folder train\n")
        }
        let rounded = try runMergeVit(
            "quantize", "--bundle", "a", "--calibration", "s", "-o", "q", folder: scratch.url)
        #expect(rounded.exitCode == 3 && rounded.errors.contains("s: is divided into valid and test"))
    }

    @Test func picturesAreDrawnWhereThereAreNoImages() throws {
        func again(_ name: String, _ arguments: [String] = []) throws -> Finished {
            try runMergeVit(["merge", "--recipe", "first/bundle.json", "-o", name] + arguments, folder: scratch.url)
        }
        let drawn = ["--calibration", "drawn:20", "--seed", "18446744073709551615", "--align"]
        let run = try merged(drawn + ["--calibration", "aerial=images", "-o", "first"])
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(
            run.errors.contains(
                "mergevit: warning: traffic: 20 pictures drawn from seed 18446744073709551615 take the place of "
                    + "images; agreement on drawn pictures says little about agreement on images of the task\n"),
            "\(run.errors)")
        let images = try #require(try recipe("first")["calibration"]?.objectValue?["images"]?.arrayValue)
        let traffic = try #require(images[0].objectValue)
        #expect(traffic["count"]?.intValue == 20 && traffic["folders"] == nil)
        #expect(
            traffic["drawn"]
                == .object(["kind": .string("shapes-1"), "seed": .number("18446744073709551615")]))
        #expect(images[1].objectValue?["folders"] == .array(["images"]) && images[1].objectValue?["drawn"] == nil)
        #expect(try again("second").exitCode == 0)
        for name in try scratch.entries("first") {
            #expect(try scratch.read("first/\(name)") == scratch.read("second/\(name)"), "\(name)")
        }
        try FileManager.default.moveItem(atPath: scratch.path("images"), toPath: scratch.path("moved"))
        #expect(try again("third", ["--calibration", "moved"]).exitCode == 0)
        let named = try again("fourth", ["--calibration", "traffic=moved"])
        #expect(
            named.exitCode == 3 && named.errors.contains("the recipe draws the calibration images of \"traffic\""),
            "\(named.errors)")
        let other = String(decoding: try scratch.read("first/bundle.json"), as: UTF8.self)
        try scratch.write("first/bundle.json", Array(other.replacingOccurrences(of: "shapes-1", with: "shapes-9").utf8))
        let unknown = try again("fifth", ["--calibration", "moved"])
        #expect(unknown.exitCode == 3 && unknown.errors.contains("pictures drawn by \"shapes-9\""), "\(unknown.errors)")
    }

    @Test func aFolderCalledDrawnIsReachedByItsPath() throws {
        try FileManager.default.moveItem(atPath: scratch.path("images"), toPath: scratch.path("drawn"))
        let run = try merged(["--calibration", "./drawn", "--align", "-o", "folder"])
        #expect(run.exitCode == 0, "\(run.errors)")
        let images = try recipe("folder")["calibration"]?.objectValue?["images"]?.arrayValue
        #expect(images?.first?.objectValue?["folders"] == .array(["./drawn"]))
        for (places, message) in [
            (["drawn:9"], "expected drawn or drawn:N with N from 10 to 100000"),
            (["drawn:"], "expected drawn or drawn:N"),
            (["aerial=drawn:x"], "expected drawn or drawn:N"),
            (["drawn", "./drawn"], "the task \"traffic\" has other images, too"),
            (["aerial=drawn", "aerial=./drawn", "traffic=./drawn"], "the task \"aerial\" has other images, too"),
        ] {
            let run = try merged(places.flatMap { ["--calibration", $0] } + ["--align", "-o", "none"])
            #expect(run.exitCode == 2 && run.errors.contains(message), "\(places): \(run.errors)")
        }
        #expect(try !scratch.entries().contains("none"))
    }

    /// Three copies of every picture, as frames of one object, in the order of their frames.
    private func writeFrames() throws -> (pictures: Int, frames: Int) {
        let pictures = try ["aerial", "flowers", "signs"].flatMap { folder in
            try scratch.entries("images/\(folder)").filter { !$0.hasPrefix(".") }.map { "\(folder)/\($0)" }
        }
        try FileManager.default.createDirectory(atPath: scratch.path("frames"), withIntermediateDirectories: true)
        for frame in 0..<3 {
            for (index, picture) in pictures.enumerated() {
                try scratch.copy("\(Samples.folder)/images/\(picture)", to: "frames/\(frame)-of-\(index).jpg")
            }
        }
        return (pictures.count, 3 * pictures.count)
    }

    private func images(_ bundle: String) throws -> JSONObject {
        let images = try recipe(bundle)["calibration"]?.objectValue?["images"]?.arrayValue
        return try #require(images?.first?.objectValue)
    }

    /// The images of each group that the recipe tells of.
    private func groups(_ bundle: String) throws -> [String] {
        try #require(images(bundle)["hold_out"]?.objectValue?["groups"]?.arrayValue).compactMap(\.stringValue)
    }

    @Test func imagesThatBelongTogetherAreHeldOutTogether() throws {
        let (pictures, frames) = try writeFrames()
        let pattern = ["--group-by", "of-([0-9]+)"]
        let run = try merged(["--calibration", "frames", "--align", "-o", "first"] + pattern)
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(try images("first")["hold_out"]?.objectValue?["by"]?.stringValue == "name")
        #expect(try images("first")["hold_out"]?.objectValue?["pattern"]?.stringValue == "of-([0-9]+)")
        #expect(try groups("first").count == pictures && groups("first").first == "0 \(pictures) \(2 * pictures)")
        let (heldOut, held) = (pictures / 5 * 3, pictures / 5)
        #expect(run.errors.contains("\naerial: on \(heldOut) held-out images in \(held) groups: "), "\(run.errors)")
        try FileManager.default.moveItem(atPath: scratch.path("frames"), toPath: scratch.path("moved"))
        func again(_ recipe: String, _ name: String) throws -> Finished {
            try runMergeVit(
                "merge", "--recipe", recipe, "--calibration", "moved", "-o", name, folder: scratch.url)
        }
        let second = try again("first/bundle.json", "second")
        #expect(second.exitCode == 0 && second.errors.contains(" held-out images in \(held) groups: "))
        #expect(try scratch.read("first/heads.safetensors") == scratch.read("second/heads.safetensors"))
        // Recipes from before there were groups hold out every fifth image.
        let older = String(decoding: try scratch.read("first/bundle.json"), as: UTF8.self)
            .replacingOccurrences(
                of: ",\\s*\"hold_out\": \\{[^}]*\\}", with: "", options: .regularExpression)
        try scratch.write("older.json", Array(older.utf8))
        let third = try again("older.json", "third")
        #expect(
            third.exitCode == 0 && third.errors.contains("aerial: on \(frames / 5) held-out images: "),
            "\(third.errors)")
        #expect(try images("third")["hold_out"] == nil)
        for (text, problem) in [("\"0 ", "\"0 0 "), ("\"by\": \"name\"", "\"by\": \"size\"")] {
            let broken = String(decoding: try scratch.read("first/bundle.json"), as: UTF8.self)
            try scratch.write("broken.json", Array(broken.replacingOccurrences(of: text, with: problem).utf8))
            let run = try again("broken.json", "broken")
            #expect(run.exitCode == 3 && run.errors.contains("calibration: images: hold_out: "), "\(run.errors)")
        }
    }

    @Test func patternsThatDoNotMatchAreNamed() throws {
        _ = try writeFrames()
        for (pattern, code, message) in [
            ("frame([0-9])", 3, "0-of-0.jpg: its name does not match the pattern frame([0-9])"),
            ("^([0-9])-", 3, "traffic: 3 groups of images by their names; at least 5 are needed"),
            ("(", 2, "expected a regular expression"), ("of", 2, "expected one capture group in parentheses, found 0"),
        ] {
            let run = try merged(["--calibration", "frames", "--align", "--group-by", pattern, "-o", "none"])
            #expect(run.exitCode == code && run.errors.contains(message), "\(pattern): \(run.errors)")
        }
        let unused = try merged(["--group-by", "(a)", "-o", "none"])
        #expect(unused.exitCode == 2 && unused.errors.contains("--group-by needs --calibration or --holdout"))
    }

    @Test func nearDuplicatesAreHeldOutTogether() throws {
        let (pictures, _) = try writeFrames()
        #expect(try merged(["--calibration", "frames", "--align", "-o", "first"]).exitCode == 0)
        #expect(try images("first")["hold_out"]?.objectValue?["by"]?.stringValue == "features")
        for group in try groups("first") { #expect(group.split(separator: " ").count >= 3, "\(group)") }
        #expect(try groups("first").count <= pictures)
        let again = try runMergeVit("merge", "--recipe", "first/bundle.json", "-o", "second", folder: scratch.url)
        #expect(again.exitCode == 0, "\(again.errors)")
        for name in try scratch.entries("first") {
            #expect(try scratch.read("first/\(name)") == scratch.read("second/\(name)"), "\(name)")
        }
        try FileManager.default.createDirectory(atPath: scratch.path("same"), withIntermediateDirectories: true)
        for index in 0..<20 { try scratch.copy("\(scratch.path("frames"))/0-of-0.jpg", to: "same/\(index).jpg") }
        let same = try merged(["--calibration", "same", "--align", "-o", "same-images"])
        #expect(
            same.exitCode == 0
                && same.errors.contains("warning: aerial: its 20 images are near-duplicates of one another"),
            "\(same.errors)")
    }

    @Test func agreementIsReportedOnImagesThatAreForNothingElse() throws {
        #expect(try merged(["--scale", "0.3", "-o", "plain"]).exitCode == 0)
        let run = try merged(["--scale", "0.3", "--holdout", "aerial=images", "-o", "reported"])
        #expect(run.exitCode == 0, "\(run.errors)")
        let line = try #require(run.errors.split(separator: "\n").first { $0.hasPrefix("aerial: on ") })
        #expect(
            line.wholeMatch(
                of:
                    #/
                    aerial:\ on\ [0-9]+\ images\ of\ --holdout(\ in\ [0-9]+\ groups)?:
                    \ [0-9.]+\ %\ of\ labels\ as\ its\ single\ adapter's\ \(95\ %\ interval\ [0-9.]+\ to\ [0-9.]+\),
                    \ KL\ [0-9.]+\ nats\ \(95\ %\ interval\ [0-9.]+\ to\ [0-9.]+\)
                    /#) != nil, "\(line)")
        #expect(!run.errors.contains("traffic: on "))
        for name in try scratch.entries("plain") {
            #expect(try scratch.read("plain/\(name)") == scratch.read("reported/\(name)"), "\(name)")
        }
        let again = try runMergeVit(
            "merge", "--recipe", "plain/bundle.json", "--holdout", "images", "-o", "again", folder: scratch.url)
        #expect(again.exitCode == 0 && again.errors.contains("\(line)\n") && again.errors.contains("traffic: on "))
        for (holdout, code, message) in [
            ("birds=images", 2, "--holdout birds=...: there is no task of that name"),
            ("nothing", 3, "nothing"), ("aerial=empty", 3, "no images to report the agreement of aerial on"),
        ] {
            try FileManager.default.createDirectory(atPath: scratch.path("empty"), withIntermediateDirectories: true)
            let run = try merged(["--holdout", holdout, "-o", "none"])
            #expect(run.exitCode == code && run.errors.contains(message), "\(holdout): \(run.errors)")
        }
    }

    /// Of one adapter at scale 1 the merge is the adapter: nothing can be better than its own head.
    @Test func aHeadThatAlignmentMakesNoBetterStays() throws {
        func one(_ arguments: [String]) throws -> Finished {
            try merge(["--adapter", "aerial=\(Samples.adapter("aerial"))"] + arguments, in: scratch)
        }
        let run = try one(["--calibration", "images", "--align", "-o", "kept"])
        #expect(
            run.errors.contains(
                "aerial: not aligned: labels as its single adapter's on 100.0 % of the held-out as it is, "),
            "\(run.errors)")
        #expect(
            run.errors.hasPrefix("mergevit: warning: fewer than 50 held-out images, one in 5 of a task's, tell little ")
        )
        #expect(run.errors.contains(": aerial \(Samples.imageCount / 5)\n"))
        #expect(try one(["-o", "plain"]).exitCode == 0)
        #expect(try scratch.read("kept/heads.safetensors") == scratch.read("plain/heads.safetensors"))
        let task = try recipe("kept")["calibration"]?.objectValue?["tasks"]?.objectValue?["aerial"]?.objectValue
        #expect(task?["aligned"]?.boolValue == false && task?["same_label_before"]?.doubleValue == 1)
        func again(_ recipe: String, _ name: String) throws {
            let run = try runMergeVit("merge", "-q", "--recipe", recipe, "-o", name, folder: scratch.url)
            #expect(run.exitCode == 0 && run.errors.isEmpty, "\(run.errors)")
        }
        try again("kept/bundle.json", "again")
        for name in try scratch.entries("kept") {
            #expect(try scratch.read("kept/\(name)") == scratch.read("again/\(name)"), "\(name)")
        }
        // Recipes from before there was a choice aligned every head, and still do.
        let older = String(decoding: try scratch.read("kept/bundle.json"), as: UTF8.self)
            .replacingOccurrences(of: ",\n *\"aligned\": false", with: "", options: .regularExpression)
        try scratch.write("older.json", Array(older.utf8))
        try again("older.json", "aligned")
        #expect(try scratch.read("aligned/heads.safetensors") != scratch.read("kept/heads.safetensors"))
        #expect(try String(decoding: scratch.read("aligned/bundle.json"), as: UTF8.self) == older)
    }

    @Test func everyParameterThatIsNotFixedIsChosen() throws {
        let run = try merged(["--method", "core-ties", "--calibration", "images", "--tune-all", "-o", "free"])
        #expect(run.exitCode == 0 && run.errors.contains("traffic, aerial: scale "), "\(run.errors)")
        #expect(run.errors.contains("density "))
        let fixed = try merged(
            ["--method", "core-ties", "--set", "density=0.6", "--calibration", "images", "--tune-all", "-o", "fixed"])
        #expect(fixed.exitCode == 0, "\(fixed.errors)")
        func loss(_ text: String) throws -> Double {
            try #require(
                text.components(separatedBy: "a loss of ").last?.split(separator: " ").first.flatMap { Double($0) })
        }
        #expect(try recipe("fixed")["parameters"]?.objectValue?["density"]?.doubleValue == 0.6)
        let density = try #require(try recipe("free")["parameters"]?.objectValue?["density"]?.doubleValue)
        #expect([0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1].contains(density))
        #expect(try loss(run.errors) <= loss(fixed.errors))
    }

    @Test func labelsChooseTheScaleOfTheTaskThatHasThem() throws {
        let classes = ["field", "forest", "parking"]
        let pictures = try scratch.entries("images/aerial").filter { !$0.hasPrefix(".") }
        for (index, name) in (pictures + pictures + pictures).enumerated() {
            let folder = "labelled/\(classes[index % 3])"
            try FileManager.default.createDirectory(
                atPath: scratch.path(folder), withIntermediateDirectories: true)
            try scratch.copy("\(Samples.folder)/images/aerial/\(name)", to: "\(folder)/\(index)-\(name)")
        }
        let arguments = ["--calibration", "traffic=images", "--labelled", "aerial=labelled", "--tune"]
        let run = try merged(arguments + ["-o", "tuned"])
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(try recipe("tuned")["calibration"]?.objectValue?["tune"]?.stringValue == "labels")
        try FileManager.default.moveItem(
            atPath: scratch.path("labelled/field"), toPath: scratch.path("labelled/meadow"))
        let unknown = try merged(arguments + ["-o", "other"])
        #expect(unknown.exitCode == 3 && unknown.errors.contains("\"meadow\" is no class of the task \"aerial\""))
    }

    @Test(arguments: [
        (["--tune"], "need --calibration"), (["--tune-all"], "need --calibration"),
        (["--calibration", "images", "--labelled", "aerial=images"], "--labelled needs --tune"),
        (["--calibration", "images", "--align-rank", "3"], "--align-rank needs --align"),
        (["--calibration", "images", "--max-drop", "101"], "--max-drop must be from 0 to 100"),
        (["--method", "regmean"], "needs --calibration"),
        (["--calibration", "images"], "--calibration: nothing uses the images. Add --align, --tune or --streams"),
    ])
    func wrongUsageIsNamed(_ arguments: [String], _ reason: String) throws {
        let run = try merged(arguments + ["-o", "none"])
        #expect(run.exitCode == 2 && run.errors.contains(reason), "\(run.errors)")
    }
}
