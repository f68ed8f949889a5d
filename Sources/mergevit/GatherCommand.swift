import ArgumentParser
import Labelling

/// `mergevit gather`.
struct GatherCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gather",
        abstract: "Put the shards of a run together.",
        discussion: """
            Writes the very bytes that one run over all inputs writes, from the files of label --shard in any order, after \
            checking by their manifests that they are of one run, complete, and unchanged.

            Exit codes: 0 written, 2 wrong usage, 3 a shard is missing, foreign or damaged, or the output cannot be \
            written.
            """)

    @Argument(help: "The shards' files; each has its manifest beside it.")
    var shards: [String]

    @Option(name: [.customShort("o"), .customLong("output")], help: "The file to write; it gets a manifest, too.")
    var output: String

    @Flag(help: "Take a stretch of the run instead of all of it; the result can be gathered again.")
    var partial = false

    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Say nothing on stderr but errors.")
    var isQuiet = false

    func run() throws {
        let interruption = Interruption()
        let gathered = try GatheredShards(shards.map(RawArguments.path), isPartial: partial)
        let path = RawArguments.path(output)
        let file = try OutputFile.replacing(path)
        interruption.watch { file.discard() }
        let manifest: RunManifest
        do {
            manifest = try gathered.write(to: file)
            try manifest.write(beside: path)
            try file.commit()
        } catch {
            file.discard()
            throw error
        }
        guard !isQuiet else { return }
        let failed = manifest.rows.failed > 0 ? "; \(manifest.rows.failed) failed" : ""
        let whole = manifest.part.count == manifest.inputs ? "" : " of \(manifest.inputs)"
        StandardStream.error.write(
            "gathered the rows of \(manifest.part.count)\(whole) inputs from \(shards.count) "
                + "file\(shards.count == 1 ? "" : "s")\(failed)\n")
    }
}
