import Foundation
import TestSupport
import Testing

/// Pictures that are neither PNG nor JPEG, wherever pictures are read.
@Suite struct PictureFormatTests {
    let scratch: TemporaryFolder
    static let names = ["jeans.webp", "parking.tif", "rose.gif", "stop.bmp"]
    static let folder = Samples.folder + "/formats"

    /// The formats that this build decodes.
    static let builtIn: String = {
        let text = (try? runMergeVit("--version").output) ?? ""
        return text.split(separator: "\n").last?.split(separator: ";").first.map(String.init) ?? ""
    }()
    static let hasAll = builtIn == "pictures: PNG, JPEG, WebP, TIFF, BMP, GIF"

    init() throws { scratch = try TemporaryFolder() }

    @Test func theVersionListsTheFormats() throws {
        let version = try runMergeVit("--version")
        #expect(version.exitCode == 0 && version.output.hasPrefix("0.2.0\npictures: PNG, JPEG"))
        for name in ["WebP", "TIFF", "BMP", "GIF"] { #expect(version.output.contains(name)) }
    }

    /// A format that is not built in is an error of its row, which says what to install.
    @Test func aFormatThatIsNotBuiltInIsNamed() throws {
        let run = try runMergeVit(
            "label", "-q", "--bundle", Samples.six(), "--tasks", "corn", Self.folder, folder: scratch.url)
        for (file, format, package) in [
            ("jeans.webp", "WebP", "libwebp-dev"), ("parking.tif", "TIFF", "libtiff-dev"),
            ("rose.gif", "GIF", "libgif-dev"),
        ] {
            let reason = "error: \(format): not built in; install \(package) and build mergevit again"
            #expect(run.output.contains("\(file),\(reason)") != Self.builtIn.contains(format), "\(run.output)")
        }
        #expect(run.exitCode == (Self.hasAll ? 0 : 1))
    }

    @Test(.enabled(if: hasAll)) func everyFormatIsLabelledInFoldersAndArchives() throws {
        let rows = table(try label(Samples.six(), [Self.folder], folder: scratch.url.path))
        #expect(rows.map { $0["path"].map { URL(fileURLWithPath: $0).lastPathComponent } } == Self.names)
        #expect(rows.allSatisfy { $0["status"] == "ok" })
        // What they show is no secret, although the model has hardly seen anything like it.
        #expect(rows[3]["traffic"] == "stop" && rows[1]["aerial"] == "parking")
        let tar = try runProgram("/bin/tar", ["-C", Samples.folder, "-cf", scratch.path("f.tar"), "formats"])
        try #require(tar.exitCode == 0)
        let members = table(try label(Samples.six(), ["f.tar"], folder: scratch.url.path))
        let columns = Samples.tasks.flatMap { [$0, "\($0)_score"] }
        #expect(members.count == 4)
        for row in members {
            let same = rows.first {
                row["path"]?.hasSuffix(URL(fileURLWithPath: $0["path"] ?? "").lastPathComponent) == true
            }
            for column in columns { #expect(row[column] == same?[column], "\(row)") }
        }
        // Decoded at a fraction, each is still a picture.
        let quick = table(try label(Samples.six(), ["--fast-decode", Self.folder], folder: scratch.url.path))
        #expect(quick.count == 4 && quick.allSatisfy { $0["status"] == "ok" })
    }

    @Test(.enabled(if: hasAll)) func everyFormatHasAThumbnail() throws {
        let run = try runMergeVit(
            "label", "--bundle", Samples.six(), "--tasks", "corn", Self.folder, "-o", "labels.csv", "--gallery",
            "page.html", folder: scratch.url)
        #expect(run.exitCode == 0 && run.errors.contains("wrote page.html with 4 thumbnails"), "\(run.errors)")
        let page = try #require(scratch.content("page.html"))
        #expect(page.components(separatedBy: "data:image/jpeg;base64,").count == 5)
    }

    @Test(.enabled(if: hasAll)) func everyFormatIsTrainedWithAndEvaluated() throws {
        for part in ["train", "val"] {
            for (index, name) in Self.names.enumerated() {
                try scratch.write("d/\(part)/\(index < 2 ? "a" : "b")/\(name)", readBytes("\(Self.folder)/\(name)"))
            }
        }
        let run = try runMergeVit(
            "train", "--base", Samples.base, "--data", "things=d", "-o", "adapter", "--epochs", "1",
            "--batch-size", "2", folder: scratch.url)
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(run.errors.hasPrefix("training on 4 images of 2 classes: a 2, b 2; 4 for validation"))
        let merge = try runMergeVit(
            "merge", "-q", "--base", Samples.base, "--adapter", "things=adapter", "-o", "bundle", folder: scratch.url)
        try #require(merge.exitCode == 0, "\(merge.errors)")
        let evaluation = try runMergeVit(
            "evaluate", "--bundle", "bundle", "--data", "things=d/val", "-o", "report", folder: scratch.url)
        #expect(evaluation.exitCode == 0 && evaluation.errors.contains("4"), "\(evaluation.errors)")
        #expect(!evaluation.errors.contains("failed"))
    }
}
