import Images
import Tensors
import Testing

@Suite struct PreprocessingSettingsTests {
    @Test(arguments: ["ViTImageProcessor", "ViTImageProcessorFast", "ViTImageProcessorPil", "ViTFeatureExtractor"])
    func takesDefaultsOfViT(_ name: String) throws {
        let settings = try preprocessing(#"{"image_processor_type": "\#(name)"}"#)
        #expect(settings.target == .exact(ImageSize(height: 224, width: 224)))
        #expect(settings.filter == .bilinear)
        #expect(settings.crop == nil)
        #expect(settings.rescaleFactor == 1.0 / 255)
        #expect(settings.normalization == .init(mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5]))
    }

    @Test func takesDefaultsOfTheOthers() throws {
        let deit = try preprocessing(#"{"feature_extractor_type": "DeiTFeatureExtractor"}"#)
        #expect(deit.target == .exact(ImageSize(height: 256, width: 256)))
        #expect(deit.crop == ImageSize(height: 224, width: 224))
        for name in ["BitImageProcessor", "CLIPImageProcessorFast", "CLIPFeatureExtractor"] {
            let settings = try preprocessing(#"{"image_processor_type": "\#(name)"}"#)
            #expect(settings.target == .shortestEdge(224))
            #expect(settings.filter == .bicubic)
            #expect(settings.normalization?.mean == [0.48145466, 0.4578275, 0.40821073])
        }
        #expect(try preprocessing(#"{"image_processor_type": "SiglipImageProcessor"}"#).filter == .bicubic)
    }

    @Test func readsLegacyNumbers() throws {
        let vit = try preprocessing(#"{"feature_extractor_type": "ViTFeatureExtractor", "size": 384, "resample": 3}"#)
        #expect(vit.target == .exact(ImageSize(height: 384, width: 384)))
        #expect(vit.filter == .bicubic)
        let clip = try preprocessing(
            #"{"feature_extractor_type": "CLIPFeatureExtractor", "size": 336, "crop_size": 336}"#)
        #expect(clip.target == .shortestEdge(336))
        #expect(clip.crop == ImageSize(height: 336, width: 336))
        let square = try preprocessing(
            #"{"image_processor_type": "CLIPImageProcessor", "size": 9, "default_to_square": true}"#)
        #expect(square.target == .exact(ImageSize(height: 9, width: 9)))
        // As the first ViT checkpoints wrote it: no processor is named.
        let unnamed = try preprocessing(
            #"{"do_normalize": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [1, 2, 4], "#
                + #""size": 224}"#)
        #expect(unnamed.normalization?.deviation == [1, 2, 4])
    }

    @Test func takesNullForMissingAndSkipsBookkeeping() throws {
        let settings = try preprocessing(
            """
            {"image_processor_type": "ViTImageProcessorFast", "crop_size": null, "data_format": "channels_first",
             "default_to_square": true, "device": null, "disable_grouping": null, "do_center_crop": null,
             "do_convert_rgb": null, "do_pad": null, "input_data_format": null, "pad_size": null,
             "processor_class": null, "return_tensors": null, "size": {"height": 224, "width": 224},
             "_valid_processor_keys": ["images", "size"], "crop_pct": null}
            """)
        #expect(settings == (try preprocessing(#"{"image_processor_type": "ViTImageProcessor"}"#)))
    }

    /// Steps that are off, of whatever processor, and keys that say what is so anyway.
    @Test(arguments: [
        #""do_reduce_labels": false"#, #""do_thumbnail": false"#, #""do_pad": false"#, #""num_channels": 3"#,
        #""antialias": true"#, #""image_size": 224"#, #""image_size": {"height": 224, "width": 224}"#,
        #""transformers_version": "5.24.0""#, #""do_convert_rgb": false"#,
    ])
    func skipsKeysThatChangeNothing(_ member: String) throws {
        let plain = try preprocessing(#"{"image_processor_type": "ViTImageProcessor"}"#)
        #expect(try preprocessing("{\"image_processor_type\": \"ViTImageProcessor\", \(member)}") == plain)
    }

    @Test func leavesOutWhatIsOff() throws {
        let settings = try preprocessing(
            """
            {"image_processor_type": "DeiTImageProcessor", "do_resize": false, "do_center_crop": false,
             "do_rescale": false, "do_normalize": false}
            """)
        #expect(
            settings
                == Preprocessing(target: nil, filter: .bicubic, crop: nil, rescaleFactor: nil, normalization: nil))
        #expect(settings.outputSize == nil)
    }

    @Test(arguments: [
        (#""image_processor_type": "LevitImageProcessor""#, "LevitImageProcessor"),
        (#""crop_pct": 0.875"#, "crop_pct"), (#""do_thumbnail": true"#, "do_thumbnail"),
        (#""do_pad": true"#, "do_pad"), (#""data_format": "channels_last""#, "data_format"),
        (#""num_channels": 1"#, "num_channels"), (#""antialias": false"#, "antialias"),
        (#""image_size": 256"#, "image_size"), (#""do_resize": 1"#, "do_resize"), (#""size": 0"#, "size"),
        (#""size": -3"#, "size"),
        (#""size": 16385"#, "size"), (#""size": 1e30"#, "size"), (#""size": 22.5"#, "size"),
        (#""size": "224""#, "size"), (#""size": [224, 256]"#, "size"), (#""size": {"height": 224}"#, "width"),
        (#""size": {"shortest_edge": 224, "longest_edge": 448}"#, "longest_edge"),
        (#""size": {"height": 224, "width": 0}"#, "size.width"), (#""size": {}"#, "size"),
        (#""resample": 6"#, "resample"), (#""resample": "bilinear""#, "resample"),
        (#""do_center_crop": true"#, "crop_size"),
        (#""do_center_crop": true, "crop_size": {"shortest_edge": 224}"#, "crop_size"),
        (#""rescale_factor": 0"#, "rescale_factor"), (#""rescale_factor": 1e999"#, "rescale_factor"),
        (#""image_mean": [0.5, 0.5]"#, "image_mean"), (#""image_mean": 0.5"#, "image_mean"),
        (#""image_mean": [0.5, 0.5, "a"]"#, "image_mean"), (#""image_std": [0.5, 0, 0.5]"#, "image_std"),
        (#""image_std": [1e-300, 1, 1]"#, "image_std"), (#""image_std": [0.5, 0.5, 0.5, 0.5]"#, "image_std"),
    ])
    func refusesByName(_ member: String, _ name: String) throws {
        let type = member.contains("image_processor_type") ? "" : #""image_processor_type": "ViTImageProcessor", "#
        let error = #expect(throws: ImageError.self) { try preprocessing("{\(type)\(member)}") }
        #expect(error?.kind == .settings)
        #expect(error?.path == "preprocessor_config.json")
        #expect(error?.reason.contains(name) == true, "\(error?.reason ?? "")")
    }

    @Test func refusesWhatNothingSays() {
        for (text, name) in [
            (#"{"do_resize": true}"#, "size"), (#"{"size": 224}"#, "image_mean"), ("[]", "object"),
            (
                #"{"image_processor_type": "ViTImageProcessor", "feature_extractor_type": "CLIPFeatureExtractor"}"#,
                "contradict"
            ),
        ] {
            let error = #expect(throws: ImageError.self) { try preprocessing(text) }
            #expect(error?.description.contains(name) == true)
        }
    }
}
