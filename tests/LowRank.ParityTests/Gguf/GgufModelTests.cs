using LowRank.Adapters;
using LowRank.IO;
using LowRank.IO.Gguf;
using LowRank.Models;
using LowRank.Models.Gguf;
using LowRank.Models.Sentences;
using LowRank.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests.Gguf;

/// <summary>Models as GGUF files and back, without llama.cpp; <see cref="LlamaCppTests"/> runs llama.cpp
/// itself.</summary>
public sealed class GgufModelTests
{
    private static readonly string Goldens = Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens");

    // Without mistral, whose window llama.cpp does not know: the file says that its context ends there.
    public static TheoryData<string> Families =>
        ["llama", "llama3_rope", "qwen2", "qwen3", "gpt2", "gemma2", "gemma3", "phi3", "gpt_neox", "mixtral",
            "rope_linear", "rope_yarn", "llama_biases", "phi3_partial", "phi3_longrope", "gpt_neox_sequential",
            "gpt_neox_parallel", "gemma", "granite", "olmo2", "ministral3", "glm4", "glm4_plain", "phi",
            "stablelm", "stablelm_parallel", "falcon", "falcon_one_norm", "bloom", "qwen2_moe"];

    [Theory, MemberData(nameof(Families))]
    public void A_model_opened_from_its_file_gives_the_references_logits(string family)
    {
        using var folder = new TemporaryFolder();
        using var golden = new Golden(family);
        GgufModel.Write(golden.Folder, folder["f32.gguf"], "f32");
        using var opened = new Golden(family, GgufFolders.Resolve(folder["f32.gguf"], folder["cache"]));
        using var scope = NewDisposeScope();
        Tensor expected = golden.Logits(), found = opened.Logits();
        Assert.InRange(Golden.LargestDeviation(expected, found), 0,
            family is "gemma" or "gemma2" or "gemma3" ? 1e-5 : 1e-6); // 1 + w - 1 rounds
    }

    [Theory, MemberData(nameof(LlamaCppTests.DrawnFamilies), MemberType = typeof(LlamaCppTests))]
    public void A_drawn_model_opened_from_its_file_computes_what_its_folder_does(string type)
    {
        using var folder = new TemporaryFolder();
        string model = LlamaCppTests.DrawnModel(folder["drawn"], type);
        GgufModel.Write(model, folder["f32.gguf"], "f32");
        using PretrainedModel before = PretrainedModel.Open(model),
            after = PretrainedModel.Open(GgufFolders.Resolve(folder["f32.gguf"], folder["cache"]));
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor tokens = tensor((long[])[.. Enumerable.Range(3, 30)]).view(1, -1); // longer than any window
        Assert.Equal(before.Config.ModelType, after.Config.ModelType);
        Assert.InRange(
            Golden.LargestDeviation(before.Decoder.Forward(tokens), after.Decoder.Forward(tokens)), 0, 1e-6);
    }

    [Theory, InlineData("llama"), InlineData("gpt2"), InlineData("gpt_neox"), InlineData("mixtral"), InlineData("phi3")]
    public void A_quantised_file_is_a_quantised_base_whose_layers_compute_with_the_expanded_weights(string family)
    {
        using var folder = new TemporaryFolder();
        foreach (string type in (string[])["q8_0", "q4_0", "q4_k_m", "q6_k", "f16", "bf16"])
        {
            GgufModel.Write(Path.Combine(Goldens, family), folder[type + ".gguf"], type);
            string unpacked = GgufFolders.Resolve(folder[type + ".gguf"], folder["cache"]);
            using var packed = new Golden(family, unpacked);
            using var expanded = new Golden(family, unpacked, baseDtype: "float32");
            Assert.Equal(type is not ("f16" or "bf16"), packed.Model.Network.QuantizedWeights.Any());
            Assert.Empty(expanded.Model.Network.QuantizedWeights);
            using var scope = NewDisposeScope();
            Assert.InRange(Golden.LargestDeviation(packed.Logits(), expanded.Logits()), 0, 1e-4);
            if (family == "mixtral") continue; // rounding sends tokens to other experts
            using var golden = new Golden(family);
            Assert.InRange(Golden.LargestDeviation(golden.Logits(), expanded.Logits()), 0, type switch
            {
                "q8_0" or "q6_k" or "f16" => 0.1, "bf16" => 0.2, _ => 2,
            });
        }
    }

    [Fact]
    public void An_adapter_trains_on_a_quantised_file_and_gives_the_same_gradients_as_on_its_expanded_weights()
    {
        using var folder = new TemporaryFolder();
        GgufModel.Write(Path.Combine(Goldens, "llama"), folder["q8.gguf"], "q8_0");
        string unpacked = GgufFolders.Resolve(folder["q8.gguf"], folder["cache"]);
        float[][] gradients = [.. ((string[])["auto", "float32"]).Select(dtype =>
        {
            using var golden = new Golden("llama", unpacked, dtype);
            using Adapter adapter = Adapter.Load(Path.Combine(golden.Folder, "lora"), golden.Model);
            adapter.Attach();
            adapter.SetTrainable(true);
            using var scope = NewDisposeScope();
            golden.Logits().pow(Number(2)).mean().backward();
            return adapter.TrainedWeights.SelectMany(weight => weight.Value.grad!.data<float>().ToArray()).ToArray();
        })];
        Assert.True(gradients[0].Max(Math.Abs) > 1e-4);
        Assert.All(gradients[0].Zip(gradients[1]), pair => Assert.InRange(Math.Abs(pair.First - pair.Second), 0, 1e-5));
    }

    [Fact]
    public void A_classifiers_head_goes_along_and_what_llama_cpp_has_not_is_left_out_with_a_note()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        string bert = Path.Combine(Goldens, "bert");
        Assert.Contains(GgufModel.Write(bert, folder["bert.gguf"], "q8_0"),
            note => note.Contains("scores the labels", StringComparison.Ordinal));
        using GgufFile file = GgufFile.Open(folder["bert.gguf"]);
        Assert.Equal(["LABEL_0", "LABEL_1", "LABEL_2"], file.Metadata.Texts("bert.classifier.output_labels")!);
        Assert.Equal(4, file.Metadata.Integer("bert.pooling_type"));
        using Checkpoint stored = Checkpoint.Open(bert);
        foreach ((string to, string from) in new[] { ("cls", "bert.pooler.dense"), ("cls.output", "classifier") })
            foreach (string part in (string[])[".weight", ".bias"])
                Assert.Equal(0, Golden.LargestDeviation(
                    stored.Map(from + part), file.Read(file.Tensors[to + part]))); // in full, whatever the file's type
        foreach (string family in (string[])["distilbert", "bert_token_classification"])
        {
            Assert.Contains(GgufModel.Write(Path.Combine(Goldens, family), folder["other.gguf"], "f32"),
                note => note.Contains("its head is left out", StringComparison.Ordinal));
            using GgufFile other = GgufFile.Open(folder["other.gguf"]);
            Assert.DoesNotContain(other.Tensors.Keys, name => name.StartsWith("cls", StringComparison.Ordinal));
            Assert.False(other.Metadata.Has("bert.pooling_type"));
        }
    }

    [Theory, InlineData("mean", true, 1), InlineData("cls", true, 2), InlineData("lasttoken", true, 3),
        InlineData("max", true, null), InlineData("mean", false, null)]
    public void An_embedders_pooling_is_in_the_file_where_llama_cpp_has_it(
        string mode, bool takesPrompts, int? expected)
    {
        using var folder = new TemporaryFolder();
        ModelFolder.CopyCompanions(
            Path.Combine(Goldens, "roberta_embedding"), Directory.CreateDirectory(folder["model"]).FullName);
        File.Copy(Path.Combine(Goldens, "roberta_embedding", "model.safetensors"), folder["model/model.safetensors"]);
        SentenceFolder.Save(SentencePipeline.Plain(32, SentenceFolder.Mode(mode)) with
        {
            IncludesPrompt = takesPrompts,
        }, folder["model"]);
        IReadOnlyList<string> notes = GgufModel.Write(folder["model"], folder["a.gguf"], "f32");
        using GgufFile file = GgufFile.Open(folder["a.gguf"]);
        Assert.Equal(expected, (int?)file.Metadata.Integer("bert.pooling_type"));
        Assert.Equal(expected is null, notes.Any(note => note.Contains("not its vectors", StringComparison.Ordinal)));
    }

    [Fact]
    public void The_folder_of_a_file_is_made_once_and_anew_when_the_file_changes()
    {
        using var folder = new TemporaryFolder();
        GgufModel.Write(Path.Combine(Goldens, "llama"), folder["a.gguf"], "f16");
        string first = GgufFolders.Resolve(folder["a.gguf"], folder["cache"]);
        DateTime made = File.GetLastWriteTimeUtc(Path.Combine(first, "model.safetensors"));
        Assert.Equal(first, GgufFolders.Resolve(folder["a.gguf"], folder["cache"]));
        Assert.Equal(made, File.GetLastWriteTimeUtc(Path.Combine(first, "model.safetensors")));
        GgufModel.Write(Path.Combine(Goldens, "llama"), folder["a.gguf"], "q8_0");
        Assert.NotEqual(first, GgufFolders.Resolve(folder["a.gguf"], folder["cache"]));
        Assert.Equal(first, GgufFolders.Resolve(first, folder["cache"])); // a folder is its own
    }

    [Theory, InlineData("opt", "llama.cpp knows no models of the type opt"),
        InlineData("rope_dynamic", "rope_scaling.rope_type is \"dynamic\""),
        InlineData("gemma3_windows", "gemma3"), InlineData("qwen3_moe_unnormalized", "norm_topk_prob is false"),
        InlineData("qwen2_moe_plain", "norm_topk_prob is true"), InlineData("falcon_groups", "bias is true"),
        InlineData("falcon_rw", "alibi is true"), InlineData("phi_norms", "qk_layernorm is true"),
        InlineData("cohere2", "layer_types is another pattern"), InlineData("olmo3", "layer_types is another pattern"),
        InlineData("cohere2_biases", "attention_bias is true"), InlineData("smollm3", "no_rope_layers is another " +
            "pattern"),
        InlineData("starcoder2_plain", "use_bias is false"),
        InlineData("gptj", "llama.cpp knows no models of the type gptj"),
        InlineData("qwen3_moe", "mlp_only_layers is 1 layers"), InlineData("qwen3_biases", "attention_bias is true"),
        InlineData("t5_plain", "num_decoder_layers is 3; supported here: at most num_layers, 2")]
    public void What_llama_cpp_would_compute_otherwise_is_refused(string family, string expected)
    {
        using var folder = new TemporaryFolder();
        Assert.Contains(expected, Assert.Throws<InputException>(
            () => GgufModel.Write(Path.Combine(Goldens, family), folder["a.gguf"], "f32")).Message,
            StringComparison.Ordinal);
        Assert.Empty(folder.FileNames);
    }

    [Fact]
    public void A_merged_models_tokenizer_that_llama_cpp_does_not_know_is_refused_by_the_bases_folder()
    {
        using var folder = new TemporaryFolder();
        using var golden = new Golden("llama");
        string model = Directory.CreateDirectory(folder["model"]).FullName;
        foreach (string file in (string[])["config.json", "model.safetensors"])
            File.Copy(Path.Combine(golden.Folder, file), Path.Combine(model, file));
        File.WriteAllText(Path.Combine(model, "tokenizer.json"), BytePairTrainer.Train(["a b c"], 256, []));
        using PretrainedModel opened = PretrainedModel.Open(model);
        using Adapter adapter = Adapter.Load(Path.Combine(golden.Folder, "lora"), opened);
        string refusal = Assert.Throws<InputException>(
            () => AdapterMerge.WriteGguf(opened, [(adapter, 1)], folder["a.gguf"], "f32")).Message;
        Assert.StartsWith($"{model}: llama.cpp does not know this tokenizer", refusal, StringComparison.Ordinal);
        Assert.DoesNotContain("lowrank-gguf-", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void Files_that_are_no_model_are_refused_with_all_problems()
    {
        using var folder = new TemporaryFolder();
        string[] Refused(GgufMetadata metadata, params GgufSource[] tensors)
        {
            GgufWriter.Write(folder["a.gguf"], metadata, tensors);
            return [.. Assert.Throws<InputException>(
                () => GgufFolders.Resolve(folder["a.gguf"], folder["cache"])).Problems];
        }
        Assert.Contains("general.architecture is missing", Refused(new GgufMetadata())[0], StringComparison.Ordinal);
        Assert.Contains("general.architecture is rwkv7",
            Refused(new GgufMetadata().Set("general.architecture", "rwkv7"))[0], StringComparison.Ordinal);
        foreach (string family in (string[])["bert", "t5"])
        {
            GgufModel.Write(Path.Combine(Goldens, family), folder[family + ".gguf"], "f32");
            Assert.Contains($"general.architecture is {family}; models of llama, ", Assert.Throws<InputException>(
                () => GgufFolders.Resolve(folder[family + ".gguf"], folder["cache"])).Message,
                StringComparison.Ordinal);
        }
        Assert.Contains("general.type is adapter, expected a model",
            Refused(new GgufMetadata().Set("general.architecture", "llama").Set("general.type", "adapter"))[0],
            StringComparison.Ordinal);
        Assert.Contains("llama.block_count is missing, expected a whole number",
            Refused(new GgufMetadata().Set("general.architecture", "llama")));
        Assert.Contains("one of 3 parts",
            Refused(new GgufMetadata().Set("general.architecture", "llama").Set("split.count", (ushort)3))[0],
            StringComparison.Ordinal);
        Assert.Empty(Directory.Exists(folder["cache"]) ? Directory.GetDirectories(folder["cache"]) : []);
    }
}
