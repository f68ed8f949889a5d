import Files
import Glibc
import Tensors

/// Errors about a path where a model or adapter was expected, which say what is there instead.
package enum ModelPath {
    /// What was expected.
    package enum Expected: Sendable {
        /// A bundle, or a classification checkpoint.
        case bundle
        /// The checkpoint that adapters are for.
        case base
        /// An adapter or a head.
        case adapter
    }

    private static let adapterFiles = ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"]

    /// The error about a path.
    package static func error(_ path: String, expected: Expected) -> ModelError {
        var status = stat()
        guard stat(path, &status) == 0 else {
            let reason = systemReason(errno)
            return ModelError(path, reason, remedy: isHubName(path) ? ModelRemedy.download(path) : nil)
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            guard expected != .adapter else {
                return ModelError(path, "expected a PEFT folder, or a .safetensors or .bin file with a head")
            }
            let folder = SmallFiles.folder(of: path)
            return ModelError(
                path, "a file; expected the folder" + (has("config.json", in: folder) ? ", which is \(folder)" : ""))
        }
        if has("bundle.json", in: path), expected == .adapter {
            return ModelError(path, "a bundle, not an adapter", remedy: ModelRemedy.labelWithBundle(path))
        }
        if adapterFiles.contains(where: { has($0, in: path) }), expected != .adapter {
            return expected == .bundle
                ? ModelError(path, "an adapter, not a bundle", remedy: ModelRemedy.merge(path))
                : ModelError(path, "an adapter, not a base", remedy: ModelRemedy.giveAdapterWithBase(path))
        }
        if has("head.safetensors", in: path), expected != .adapter {
            return ModelError(
                path, "a head, not a \(expected == .bundle ? "bundle" : "base")", remedy: ModelRemedy.giveAdapter(path))
        }
        if has("config.json", in: path), expected == .adapter {
            return ModelError(
                path,
                "a whole checkpoint (config.json), not an adapter; only what was trained with PEFT, or a head alone, "
                    + "can be merged", remedy: ModelRemedy.labelWithCheckpoint(path))
        }
        let marker = expected == .adapter ? "adapter_config.json" : "config.json"
        let folders = folders(with: marker, in: path)
        let hint = folders.isEmpty ? "" : "; did you mean \(list(folders))?"
        switch expected {
        case .adapter:
            return ModelError(
                path, "neither adapter_model.safetensors nor adapter_model.bin nor head.safetensors is there\(hint)")
        case .base: return ModelError(path, "no config.json: not a Hugging Face checkpoint\(hint)")
        case .bundle: return ModelError(path, "no config.json: neither a bundle nor a Hugging Face checkpoint\(hint)")
        }
    }

    private static func has(_ name: String, in folder: String) -> Bool { access("\(folder)/\(name)", F_OK) == 0 }

    /// Whether a path has the form of a name on the Hub: owner/name.
    private static func isHubName(_ path: String) -> Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 2
            && parts.allSatisfy { part in
                !part.isEmpty && part.first != "."
                    && part.utf8.allSatisfy { byte in
                        switch byte {
                        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
                            UInt8(ascii: "."):
                            true
                        default: false
                        }
                    }
            }
    }

    /// The folders in a folder that have a file of a name, in order of their names. Folders two levels down count only
    /// when there is none one level down.
    package static func folders(with name: String, in folder: String) -> [String] {
        let children = children(of: folder)
        let matches = children.filter { has(name, in: $0) }
        return matches.isEmpty ? children.flatMap { self.children(of: $0).filter { has(name, in: $0) } } : matches
    }

    private static func children(of folder: String) -> [String] {
        let names = (try? SmallFiles.names(in: folder)) ?? []
        let parent = folder.hasSuffix("/") ? String(folder.dropLast()) : folder
        return names.filter { !$0.hasPrefix(".") }.sorted().map { "\(parent)/\($0)" }
            .filter { SmallFiles.isFolder($0, followsLinks: true) }
    }

    /// The first few paths, and the number of the rest.
    package static func list(_ paths: [String]) -> String {
        paths.prefix(5).joined(separator: ", ") + (paths.count > 5 ? " or one of \(paths.count - 5) more" : "")
    }
}
