import ArgumentParser
import Files
import Labelling
import Logging

/// `mergevit gather`.
struct GatherCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gather",
        abstract: "Join the shards of a run into one file.",
        discussion: """
            Writes exactly the bytes that one run over all inputs writes, from the files of label --shard in any \
            order. First checks, by their manifests, that they belong to one run, are complete, and have not been \
            changed. An existing output is replaced if mergevit wrote it and it has not been changed, else only with \
            --force; it is never read as a shard, even if it is named as one.

            Example:
              mergevit gather part-*.csv -o labels.csv

            Exit codes: 0 written; 2 wrong usage; 3 a shard is missing, damaged or of another run, or the output \
            cannot be written.
            """)

    @Argument(help: .init("SHARD", "Files of shards; each has its manifest beside it."))
    var shards: [PathArgument]

    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: .init("FILE", "File to write, with a manifest beside it."))
    var output: PathArgument

    @Flag(help: "Accept consecutive shards that are not the whole run; the result can be gathered again.")
    var partial = false

    @OptionGroup var replacing: ReplaceFileOption
    @OptionGroup var quiet: QuietOption

    func run() throws {
        let path = output.path
        let paths = shards.map(\.path)
        let parts = paths.filter { !$0.isSameFile(as: path) }
        if parts.count < paths.count {
            quiet.log.warning("\(path) is the output, and is not read as a shard")
        }
        let gathered = try GatheredShards(parts, isPartial: partial)
        let file = try OutputFile.replacing(path, force: replacing.force)
        Interruption.ends { file.discard() }
        let manifest: RunManifest
        do {
            manifest = try showingStages(isQuiet: quiet.isQuiet) { try gathered.write(to: file) }
            try manifest.write(beside: path)
            try file.commit()
            if let reason = try gathered.writeRecord(beside: path, manifest) {
                quiet.log.notice("label --reuse cannot use \(path): \(reason)")
            }
        } catch {
            file.discard()
            throw error
        }
        let failed = manifest.rows.failed > 0 ? "; \(manifest.rows.failed) failed" : ""
        let whole = manifest.part.count == manifest.inputs ? "" : " of \(manifest.inputs)"
        quiet.say(
            "gathered the rows of \(manifest.part.count)\(whole) inputs from \(parts.count) "
                + "file\(parts.count == 1 ? "" : "s")\(failed)")
    }
}
