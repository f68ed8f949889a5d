package import Files
import Glibc
package import Images
import Tensors

/// Where preprocessing settings come from, and whose resize is used, if not those of the model's folder.
package struct PreprocessorChoice: Sendable, Equatable {
    /// Where the settings come from.
    package enum Source: Sendable, Equatable {
        /// The model's folder.
        case folder
        /// A file such as `preprocessor_config.json`, or the folder of one.
        case file(String)
        /// The settings of a well-known model.
        case preset(Preset)
    }

    /// Well-known models.
    package enum Preset: String, CaseIterable, Sendable {
        /// google/vit-base-patch16-224, for the image size of the model.
        case vit
        /// facebook/deit-base-distilled-patch16-224, for the image size of the model.
        case deit
        /// facebook/dinov2-base: 224 x 224, whatever the image size of the model.
        case dinov2

        /// Their names, for messages.
        package static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }
    }

    /// Where the settings come from.
    package var source = Source.folder
    /// Whose resize; nil for the one in the model's `bundle.json`, or Pillow's.
    package var resize: ResizeBackend?

    /// A choice; the model's own settings unless specified.
    package init(source: Source = .folder, resize: ResizeBackend? = nil) {
        (self.source, self.resize) = (source, resize)
    }

    /// Checks, without a model, that the settings of a folder exist and are understood.
    package func check(_ folder: String) throws {
        _ = try PreprocessorFile(folder: folder, self, imageSize: nil).preprocessing(resize ?? .pillow)
    }
}

/// The settings that say how images become a model's input, as in their file.
package struct PreprocessorFile: Sendable {
    /// The contents of `preprocessor_config.json`, or what they would be.
    package let json: JSON
    /// The file, for errors.
    package let path: String

    /// The file's name in a folder of transformers.
    static let name = ModelBundle.preprocessingName
    /// The file of a processor of several modalities; transformers 5 nests the image processor in it.
    static let processorName = "processor_config.json"

    /// Finds the settings for a model.
    ///
    /// - Parameters:
    ///   - folder: the model's folder.
    ///   - choice: where to look.
    ///   - imageSize: the image size of the model, for presets; nil if it is unknown.
    /// - Throws: `ModelError` or `FileError` naming the file that is missing or wrong.
    package init(folder: String, _ choice: PreprocessorChoice, imageSize: ImageSize?) throws {
        switch choice.source {
        case .preset(let preset):
            json = preset.json(imageSize ?? ImageSize(height: 224, width: 224))
            path = "preset \(preset.rawValue)"
        case .file(let file):
            self = try SmallFiles.isFolder(file, followsLinks: true) ? Self.read(folder: file) : Self.read(file)
        case .folder:
            self = try Self.read(folder: folder)
        }
    }

    private init(_ json: JSON, _ path: String) { (self.json, self.path) = (json, path) }

    /// The settings as values.
    package func preprocessing(_ resize: ResizeBackend) throws -> Preprocessing {
        try Preprocessing(json: json, path: path, resize: resize)
    }

    /// The files of a folder with its settings.
    static func paths(in folder: String) -> [String] {
        let (plain, processor) = ("\(folder)/\(name)", "\(folder)/\(processorName)")
        if access(plain, F_OK) == 0 { return [plain] }
        let isNested = access(processor, F_OK) == 0 && (try? nested(processor)) != nil
        return isNested ? [processor] : []
    }

    private static func read(folder: String) throws -> PreprocessorFile {
        let (plain, processor) = ("\(folder)/\(name)", "\(folder)/\(processorName)")
        let nested = access(processor, F_OK) == 0 ? try nested(processor) : nil
        guard access(plain, F_OK) == 0 else {
            if let nested { return nested }
            if let timm = try timm(folder) { return timm }
            throw ModelError(
                plain,
                """
                No such file or directory; it says how images become the model's input. Copy it from the model that \
                this one was trained from (processor.save_pretrained writes it)
                """, remedy: ModelRemedy.givePreprocessor)
        }
        let file = try read(plain)
        if let nested, try nested.preprocessing(.pillow) != file.preprocessing(.pillow) {
            throw ModelError(
                processor, "differs from \(name) beside it, and transformers takes this one",
                remedy: ModelRemedy.givePreprocessorFile)
        }
        return file
    }

    /// The settings in the configuration of a timm model, if it is one.
    private static func timm(_ folder: String) throws -> PreprocessorFile? {
        let path = "\(folder)/config.json"
        guard access(path, F_OK) == 0, let settings = try JSON(contentsOf: path).objectValue?[Preprocessing.timmKey]
        else { return nil }
        return PreprocessorFile(
            .object(["image_processor_type": .string(Preprocessing.timmProcessor), Preprocessing.timmKey: settings]),
            path)
    }

    /// Reads a file of settings, or of a processor that has them nested.
    private static func read(_ path: String) throws -> PreprocessorFile {
        guard access(path, F_OK) == 0 else {
            throw ModelError(path, systemReason(errno), remedy: ModelRemedy.correctPreprocessor)
        }
        return try nested(path) ?? PreprocessorFile(JSON(contentsOf: path), path)
    }

    /// The image processor's settings in a processor's file, if it has them.
    private static func nested(_ path: String) throws -> PreprocessorFile? {
        guard let settings = try JSON(contentsOf: path).objectValue?["image_processor"] else { return nil }
        guard settings.objectValue != nil else {
            throw ModelError(path, "image_processor: expected an object, found \(settings.kind)")
        }
        return PreprocessorFile(settings, path)
    }
}

extension PreprocessorChoice.Preset {
    /// The settings of the model.
    func json(_ size: ImageSize) -> JSON {
        func extent(_ height: Int, _ width: Int) -> JSON { .object(["height": .int(height), "width": .int(width)]) }
        func numbers(_ values: Double...) -> JSON { .array(values.map(JSON.double)) }
        let imageNet: JSONObject = [
            "resample": .int(ResampleFilter.bicubic.rawValue), "do_center_crop": .bool(true),
            "image_mean": numbers(0.485, 0.456, 0.406), "image_std": numbers(0.229, 0.224, 0.225),
        ]
        var settings: JSONObject
        switch self {
        case .vit:
            settings = [
                "image_processor_type": "ViTImageProcessor", "size": extent(size.height, size.width),
                "resample": .int(ResampleFilter.bilinear.rawValue), "image_mean": numbers(0.5, 0.5, 0.5),
                "image_std": numbers(0.5, 0.5, 0.5),
            ]
        case .deit:
            settings = imageNet
            settings["image_processor_type"] = "DeiTImageProcessor"
            settings["size"] = extent(size.height * 256 / 224, size.width * 256 / 224)
            settings["crop_size"] = extent(size.height, size.width)
        case .dinov2:
            settings = imageNet
            settings["image_processor_type"] = "BitImageProcessor"
            settings["size"] = .object(["shortest_edge": .int(256)])
            settings["crop_size"] = extent(224, 224)
        }
        settings["do_resize"] = .bool(true)
        settings["do_rescale"] = .bool(true)
        settings["rescale_factor"] = .double(1 / 255)
        settings["do_normalize"] = .bool(true)
        return .object(settings)
    }
}

extension Checkpoint {
    /// The preprocessing settings that belong to the checkpoint.
    ///
    /// - Throws: as `PreprocessorFile.init`.
    package func preprocessorFile() throws -> PreprocessorFile {
        try PreprocessorFile(folder: folder, preprocessor, imageSize: configuration.imageSize)
    }

    /// How images become the backbone's input.
    ///
    /// - Throws: `ModelError`, `FileError` or `ImageError` when the settings are missing or not understood.
    package func preprocessing() throws -> Preprocessing { try preprocessorFile().preprocessing(resizeBackend()) }

    /// Whose resize is used: the chosen one, or the one in `bundle.json`, or Pillow's.
    package func resizeBackend() throws -> ResizeBackend {
        if let chosen = preprocessor.resize { return chosen }
        guard ModelBundle.isBundle(folder) else { return .pillow }
        let path = "\(folder)/\(ModelBundle.manifestName)"
        return try ModelBundle.resize(JSON(contentsOf: path), path: path)
    }

    /// The resize for a bundle's manifest; nil for Pillow's, which is not written.
    package func recordedResize() throws -> String? {
        let backend = try resizeBackend()
        return backend == .pillow ? nil : backend.rawValue
    }

    /// The files of the folder with the settings; none if they come from elsewhere.
    package var preprocessorPaths: [String] {
        preprocessor.source == .folder ? PreprocessorFile.paths(in: folder) : []
    }
}

extension ModelBundle {
    /// The resize in the manifest of a bundle, which is at `path`; Pillow's unless specified.
    ///
    /// - Throws: `ModelError` when it is unknown.
    package static func resize(_ manifest: JSON, path: String) throws -> ResizeBackend {
        guard let value = manifest.objectValue?["resize"] else { return .pillow }
        guard let backend = value.stringValue.flatMap(ResizeBackend.init(rawValue:)) else {
            let names = ResizeBackend.allCases.map(\.rawValue).joined(separator: " or ")
            throw ModelError(path, "resize: expected \(names), found \(value.shown)")
        }
        return backend
    }
}
