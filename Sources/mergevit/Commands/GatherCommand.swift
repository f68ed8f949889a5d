import ArgumentParser
import Files
import Labelling
import Logging

/// `mergevit gather`.
struct GatherCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gather",
        abstract: "Put the shards of a run together.",
        discussion: """
            Writes the very bytes that one run over all inputs writes, from the files of label --shard in any order, after \
            checking by their manifests that they are of one run, complete, and unchanged. An output that exists is replaced if it is \
            as mergevit wrote it, else only with --force; it is no shard even if it is named as one.

            Exit codes: 0 written, 2 wrong usage, 3 a shard is missing, foreign or damaged, or the output cannot be \
            written.
            """)

    @Argument(help: "The shards' files; each has its manifest beside it.")
    var shards: [String]

    @Option(name: [.customShort("o"), .customLong("output")], help: "The file to write; it gets a manifest, too.")
    var output: String

    @Flag(help: "Take a stretch of the run instead of all of it; the result can be gathered again.")
    var partial = false

    @Flag(help: "Replace the output even if it was changed after mergevit wrote it, or if something else wrote it.")
    var force = false

    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Say nothing on stderr but errors.")
    var isQuiet = false

    func run() throws {
        let path = RawArguments.path(output)
        let paths = shards.map(RawArguments.path)
        let parts = paths.filter { !$0.isSameFile(as: path) }
        if parts.count < paths.count {
            Warnings.logger(quiet: isQuiet).warning("\(path) is the output, and is not taken for a shard")
        }
        let gathered = try GatheredShards(parts, isPartial: partial)
        let file = try OutputFile.replacing(path, force: force)
        Interruption.ends { file.discard() }
        let manifest: RunManifest
        do {
            manifest = try showingStages(isQuiet: isQuiet) { try gathered.write(to: file) }
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
            "gathered the rows of \(manifest.part.count)\(whole) inputs from \(parts.count) "
                + "file\(parts.count == 1 ? "" : "s")\(failed)\n")
    }
}
