using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Adapters.Files;
using LowRank.Adapters.Operations;
using LowRank.IO.Gguf;
using LowRank.Models;
using LowRank.Models.Gguf;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests.Gguf;

/// <summary>What llama.cpp computes with the files that are written here, against this library: the log probabilities
/// of all tokens after a few prompts. Skipped where llama.cpp is not at hand
/// (<see cref="LlamaServer.Root"/>).</summary>
/// <remarks>The reference cases have no tokenizer; here they get one of single characters. Set LOWRANK_GGUF_TABLE to a
/// file to collect the deviations for docs/formats.md.</remarks>
public sealed class LlamaCppTests
{
    private const string Skip =
        "llama.cpp is not at hand: set REF to a root that has it, or LOWRANK_LLAMA_CPP=1 for this machine's.";

    private static readonly int[][] Prompts = [[1, 17, 200, 33, 5, 90], [1, 4, 4, 9], [1, 77, 30, 31, 32, 33, 34]];

    // Beyond the original length: llama.cpp takes the factors for that from the start where its context is longer.
    private static readonly int[][] LongPrompts = [[1, .. Enumerable.Range(20, 30)], [1, .. Enumerable.Range(90, 20)]];

    // What float32 gives, what the table from which llama.cpp takes gelu adds, and one other entry of it.
    private const double Exact = 1e-4, OfTable = 3e-3, OfEntry = 5e-4;

    private static readonly string[] WithGelu =
        ["gpt2", "gpt_neox", "gpt_neox_sequential", "gpt_neox_parallel", "gemma", "gemma2", "gemma3", "phi",
            "starcoder2",
            "falcon", "falcon_one_norm", "bloom"];

    public static TheoryData<string> Families =>
        ["llama", "llama3_rope", "mistral", "qwen2", "qwen3", "gpt2", "gemma2", "gemma3", "phi3", "gpt_neox",
            "mixtral", "rope_linear", "rope_yarn", "llama_biases", "phi3_partial",
            "phi3_longrope", "gpt_neox_sequential", "gpt_neox_parallel", "gemma", "granite", "olmo2", "ministral3",
                "glm4",
            "glm4_plain", "phi", "stablelm", "stablelm_parallel", "falcon", "falcon_one_norm",
            "bloom", "qwen2_moe"];

    /// <summary>What the reference cases lack: windows and unrotated layers in the pattern that llama.cpp has, Mixtral
    /// and Qwen with eight experts, Falcon's groups with two norms.</summary>
    internal static IReadOnlyDictionary<string, string> DrawnModels { get; } = new Dictionary<string, string>
    {
        ["qwen3_moe"] = "\"num_experts\": 8, \"moe_intermediate_size\": 32, \"norm_topk_prob\": true, " +
            "\"num_experts_per_tok\": 2",
        ["mixtral"] = "\"num_local_experts\": 8, \"num_experts_per_tok\": 2",
        ["smollm3"] = "\"num_hidden_layers\": 5",
        ["olmo3"] = "\"num_hidden_layers\": 5, \"sliding_window\": 4",
        ["cohere2"] = "\"num_hidden_layers\": 5, \"sliding_window\": 4, \"logit_scale\": 0.4",
        ["starcoder2"] = "\"sliding_window\": null",
        ["falcon"] = "\"num_kv_heads\": 2, \"new_decoder_architecture\": true, \"bias\": false, \"alibi\": false",
    };

    public static TheoryData<string> DrawnFamilies => [.. DrawnModels.Keys];

    [Theory, MemberData(nameof(Families))]
    public void A_model_gives_the_same_log_probabilities_in_llama_cpp(string family)
    {
        Assert.SkipWhen(LlamaServer.Root is null, Skip);
        using var folder = new TemporaryFolder();
        using var golden = new Golden(family);
        string model = WithTokenizer(golden.Folder, folder["model"]);
        GgufModel.Write(model, folder["f32.gguf"], "f32");
        using LlamaServer server = LlamaServer.Open(folder["f32.gguf"]);
        Check(family, "f32", server, golden.Model, Exact);
    }

    [Theory, MemberData(nameof(GgufAdapterTests.Families), MemberType = typeof(GgufAdapterTests))]
    public void Every_type_gives_the_log_probabilities_of_the_file_opened_here(string family)
    {
        Assert.SkipWhen(LlamaServer.Root is null, Skip);
        using var folder = new TemporaryFolder();
        string model = WithTokenizer(
            Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens", family), folder["model"]);
        // llama.cpp rounds the inputs of products with packed weights to 8 bits, and of those in half precision to it.
        foreach ((string type, double tolerance) in new[]
        {
            ("f16", 0.005), ("bf16", 0.05), ("q8_0", 0.15), ("q4_0", 0.15), ("q4_k_m", 0.15), ("q6_k", 0.15),
        })
        {
            string file = folder[type + ".gguf"];
            GgufModel.Write(model, file, type);
            using PretrainedModel opened = PretrainedModel.Open(GgufFolders.Resolve(file, folder["cache"]));
            using LlamaServer server = LlamaServer.Open(file);
            Check(family, type, server, opened, tolerance);
        }
    }

    [Theory, MemberData(nameof(DrawnFamilies))]
    public void A_drawn_model_and_its_adapter_give_the_same_log_probabilities_in_llama_cpp(string type)
    {
        Assert.SkipWhen(LlamaServer.Root is null, Skip);
        using var folder = new TemporaryFolder();
        string model = DrawnModel(folder["drawn"], type);
        GgufModel.Write(model, folder["f32.gguf"], "f32");
        using PretrainedModel opened = PretrainedModel.Open(model);
        using (Adapter adapter = Drawn(opened)) adapter.Save(folder["adapter"]);
        using (NewDisposeScope())
            GgufAdapter.FromPeft(LoraFolder.Load(folder["adapter"]), type, model, folder["a.gguf"]);
        using LlamaServer server = LlamaServer.Open(folder["f32.gguf"], "--lora", folder["a.gguf"]);
        string name = $"{type}, drawn";
        Check(name, "f32", server, opened, 1e-4, [0]);
        WithAdapters(opened, [(folder["adapter"], 1)], () => Check(name, "adapter", server, opened, 1e-4, [1]));
    }

    [Theory, MemberData(nameof(GgufAdapterTests.Families), MemberType = typeof(GgufAdapterTests))]
    public void An_adapter_gives_the_same_log_probabilities_in_llama_cpp_with_every_scale(string family)
    {
        Assert.SkipWhen(LlamaServer.Root is null, Skip);
        using var folder = new TemporaryFolder();
        using var golden = new Golden(family);
        string model = WithTokenizer(golden.Folder, folder["model"]);
        GgufModel.Write(model, folder["f32.gguf"], "f32");
        string[] adapters = [Path.Combine(golden.Folder, "lora"), Path.Combine(golden.Folder, "trained")];
        foreach ((int number, string adapter) in adapters.Index())
        {
            using var scope = NewDisposeScope();
            GgufAdapter.FromPeft(LoraFolder.Load(adapter), adapter, golden.Folder, folder[$"{number}.gguf"]);
        }
        using LlamaServer server =
            LlamaServer.Open(folder["f32.gguf"], "--lora", folder["0.gguf"], "--lora", folder["1.gguf"]);
        foreach (double[] scales in new double[][] { [1, 0], [0, 1], [0.5, 0], [0.7, 0.4], [-1, 0] })
            WithAdapters(golden.Model, [.. adapters.Zip(scales)], () =>
                Check(family, $"adapters {scales[0]} and {scales[1]}", server, golden.Model, Exact,
                    scales));
    }

    [Fact]
    public void An_activated_adapter_applies_in_llama_cpp_from_the_tokens_on_that_invoke_it()
    {
        Assert.SkipWhen(LlamaServer.Root is null, Skip);
        using var folder = new TemporaryFolder();
        using var golden = new Golden("qwen2");
        GgufModel.Write(WithTokenizer(golden.Folder, folder["model"]), folder["f32.gguf"], "f32");
        string adapter = Path.Combine(golden.Folder, "trained");
        foreach ((string name, string tokens) in new[] { ("first", "[1]"), ("never", "[250, 251]") })
        {
            using var scope = NewDisposeScope();
            LoraFolder plain = LoraFolder.Load(adapter);
            GgufAdapter.FromPeft(plain with
            {
                Config = plain.Config with
                {
                    OtherKeys = new Dictionary<string, JsonElement>
                    {
                        ["alora_invocation_tokens"] = JsonElement.Parse(tokens),
                    },
                },
            }, adapter, golden.Folder, folder[name + ".gguf"]);
        }
        using (LlamaServer server = LlamaServer.Open(folder["f32.gguf"], "--lora", folder["never.gguf"]))
            Check("qwen2", "activated adapter before its tokens", server, golden.Model, Exact);
        using (LlamaServer server = LlamaServer.Open(folder["f32.gguf"], "--lora", folder["first.gguf"]))
            WithAdapters(golden.Model, [(adapter, 1)],
                () => Check("qwen2", "activated adapter from its tokens on", server, golden.Model, Exact));
    }

    [Theory, InlineData("rslora"), InlineData("patterns"), InlineData("all_linear"), InlineData("embedding")]
    public void Each_kind_of_LoRA_gives_the_same_log_probabilities_in_llama_cpp(string variant)
    {
        Assert.SkipWhen(LlamaServer.Root is null, Skip);
        using var folder = new TemporaryFolder();
        using var golden = new Golden("qwen2");
        GgufModel.Write(WithTokenizer(golden.Folder, folder["model"]), folder["f32.gguf"], "f32");
        string adapter = Path.Combine(golden.Folder, "..", "variants", variant);
        using (NewDisposeScope())
            GgufAdapter.FromPeft(LoraFolder.Load(adapter), adapter, golden.Folder, folder["a.gguf"]);
        using LlamaServer server = LlamaServer.Open(folder["f32.gguf"], "--lora", folder["a.gguf"]);
        WithAdapters(golden.Model, [(adapter, 1)], () => Check("qwen2", variant, server, golden.Model, 1e-4));
    }

    [Theory, InlineData("dora"), InlineData("vera"), InlineData("loha/trained"), InlineData("lokr"),
        InlineData("modules_to_save")]
    public void Pairs_of_other_kinds_give_the_same_log_probabilities_in_llama_cpp(string variant)
    {
        Assert.SkipWhen(LlamaServer.Root is null, Skip);
        using var folder = new TemporaryFolder();
        using var golden = new Golden("qwen2");
        GgufModel.Write(WithTokenizer(golden.Folder, folder["model"]), folder["f32.gguf"], "f32");
        string adapter = Path.Combine(golden.Folder, "..", "variants", variant);
        using (NewDisposeScope())
            GgufAdapter.FromPeft(
                AdapterAsPairs.Make(adapter, golden.Folder).Adapter, adapter, golden.Folder, folder["a.gguf"]);
        using LlamaServer server = LlamaServer.Open(folder["f32.gguf"], "--lora", folder["a.gguf"]);
        WithAdapters(golden.Model, [(adapter, 1)],
            () => Check("qwen2", variant + " as pairs", server, golden.Model, 1e-4));
    }

    [Theory, InlineData("llama"), InlineData("gpt2"), InlineData("mixtral")]
    public void A_merged_model_gives_the_adapted_log_probabilities_in_llama_cpp(string family)
    {
        Assert.SkipWhen(LlamaServer.Root is null, Skip);
        using var folder = new TemporaryFolder();
        using var golden = new Golden(family);
        string model = WithTokenizer(golden.Folder, folder["model"]);
        using PretrainedModel opened = PretrainedModel.Open(model);
        using Adapter adapter = Directory.Exists(Path.Combine(golden.Folder, "lora"))
            ? Adapter.Load(Path.Combine(golden.Folder, "lora"), opened)
            : Drawn(opened);
        AdapterMerge.WriteGguf(opened, [(adapter, 1)], folder["merged.gguf"], "f32");
        using LlamaServer server = LlamaServer.Open(folder["merged.gguf"]);
        adapter.Attach();
        Check(family, "merged", server, opened, Exact);
    }

    [Fact]
    public void Tensors_are_quantised_as_llama_quantize_does()
    {
        Assert.SkipWhen(LlamaServer.Root is null, Skip);
        using var folder = new TemporaryFolder();
        foreach (string shape in (string[])["wide", "narrow"])
        {
            string model = Wide(folder[shape], shape == "wide" ? 256 : 64);
            GgufModel.Write(model, folder[shape + "-f32.gguf"], "f32");
            foreach (string type in GgufModel.Types.Where(type => type is not ("f32" or "f16" or "bf16")))
            {
                string ours = folder[$"{shape}-{type}.gguf"], theirs = folder[$"{shape}-{type}-llama.gguf"];
                GgufModel.Write(model, ours, type);
                LlamaServer.Run("llama-quantize", folder[shape + "-f32.gguf"], theirs, type.ToUpperInvariant());
                using GgufFile one = GgufFile.Open(ours), other = GgufFile.Open(theirs);
                Assert.Equal(other.Tensors.Keys.Order(), one.Tensors.Keys.Order());
                Assert.Equal(other.Metadata.Integer("general.file_type"), one.Metadata.Integer("general.file_type"));
                Assert.All(one.Tensors.Values, tensor =>
                {
                    GgufTensor reference = other.Tensors[tensor.Name];
                    Assert.True(reference.Type == tensor.Type,
                        $"{type}: {tensor.Name} is {tensor.Type.Name}, llama-quantize writes {reference.Type.Name}");
                    Assert.Equal(other.Digest(reference), one.Digest(tensor));
                });
            }
        }
    }

    private static void WithAdapters(
        PretrainedModel model, IReadOnlyList<(string Folder, double Scale)> adapters, Action check)
    {
        Adapter[] loaded = [.. adapters.Where(adapter => adapter.Scale != 0).Select(adapter =>
        {
            Adapter read = Adapter.Load(adapter.Folder, model);
            read.Weight = adapter.Scale;
            read.Attach();
            return read;
        })];
        try
        {
            check();
        }
        finally
        {
            foreach (Adapter adapter in loaded.Reverse())
            {
                adapter.Detach();
                adapter.Dispose();
            }
        }
    }

    private static void Check(
        string family, string what, LlamaServer server, PretrainedModel model, double tolerance,
        IReadOnlyList<double>? scales = null)
    {
        int[][] prompts = [.. (family == "phi3_longrope" ? LongPrompts : Prompts)
            .Select(ids => ids.Select(id => id % model.Network.VocabularySize).ToArray())];
        float[][] found = [.. prompts.Select(
            prompt => server.LogProbabilities(prompt, model.Network.VocabularySize, scales))];
        bool hasGelu = WithGelu.Contains(family.Split(',')[0]);
        double[] each = Deviations(model, prompts, found);
        Require(what, each.Max(), hasGelu ? Math.Max(tolerance, OfTable) : tolerance);
        if (!hasGelu || tolerance > Exact) return;
        using (TableGelu.In(model.Network)) each = Deviations(model, prompts, found);
        // Where an input lies between two numbers of 16 bits, float32's rounding decides which entry is taken.
        Require(what + ", with the same table of gelu", each.Order().Skip(each.Length / 2).First(), tolerance);
        Require(what + ", with the same table of gelu, at most", each.Max(), OfEntry);

        void Require(string compared, double most, double allowed)
        {
            if (Environment.GetEnvironmentVariable("LOWRANK_GGUF_TABLE") is { Length: > 0 } table)
                lock (Prompts)
                    File.AppendAllText(table, FormattableString.Invariant($"{family}\t{compared}\t{most:g2}\n"));
            Assert.True(most <= allowed, $"{family}, {compared}: the log probabilities differ by {most}");
        }
    }

    // The largest difference after each prompt.
    private static double[] Deviations(PretrainedModel model, int[][] prompts, float[][] found)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        return [.. prompts.Zip(found, (prompt, others) =>
        {
            Tensor logits = model.Decoder.Forward(
                tensor(prompt.Select(id => (long)id).ToArray(), device: model.Network.Device).view(1, -1));
            Tensor expected = nn.functional.log_softmax(logits[0, prompt.Length - 1], 0).cpu();
            double most = (tensor(others) - expected).abs().max().item<float>();
            return double.IsNaN(most) ? double.PositiveInfinity : most;
        })];
    }

    private static Adapter Drawn(PretrainedModel model)
    {
        Adapter adapter = Adapter.Create(
            model, new LoraConfig { Rank = 2, Alpha = 4, TargetModules = ModuleSelection.AllLinear }, 3);
        using var noGradient = no_grad();
        foreach ((string _, Tensor weight) in adapter.TrainedWeights) weight.add_(Number(0.05), Number(1));
        return adapter;
    }

    // A copy of a reference case with a tokenizer of single characters.
    internal static string WithTokenizer(string source, string target)
    {
        Directory.CreateDirectory(target);
        foreach (string file in Directory.GetFiles(source))
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(source, "config.json")))!;
        int size = config["vocab_size"]!.GetValue<int>();
        string[] tokens = ["<unk>", "<s>", "</s>", "▁",
            .. Enumerable.Range(0, size - 4).Select(n => $"{(char)(0x4e00 + n)}")];
        var vocabulary = new JsonObject();
        foreach ((int id, string token) in tokens.Index()) vocabulary[token] = id;
        var json = new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray([.. tokens.Take(3).Select((token, id) => (JsonNode)new JsonObject
            {
                ["id"] = id, ["content"] = token, ["special"] = true, ["normalized"] = false, ["single_word"] = false,
                ["lstrip"] = false, ["rstrip"] = false,
            })]),
            ["normalizer"] = JsonNode.Parse("""{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}"""),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE", ["unk_token"] = "<unk>", ["vocab"] = vocabulary, ["merges"] = new JsonArray(),
                ["fuse_unk"] = true,
            },
        };
        File.WriteAllText(Path.Combine(target, "tokenizer.json"), json.ToJsonString());
        return target;
    }

    // A llama whose widths fill blocks of 256, or none of whose do.
    private static string Wide(string folder, int hidden) => Drawn(folder, $$"""
        {"model_type": "llama", "hidden_size": {{hidden}}, "intermediate_size": {{2 * hidden}},
         "num_hidden_layers": 8, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 64,
         "max_position_embeddings": 64, "tie_word_embeddings": false, "initializer_range": 0.05}
        """);

    /// <summary>One of <see cref="DrawnModels"/>, with a tokenizer.</summary>
    internal static string DrawnModel(string folder, string type)
    {
        var config = (JsonObject)JsonNode.Parse($$"""
            {"model_type": "{{type}}", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 64,
             "max_position_embeddings": 64, "initializer_range": 0.2}
            """)!;
        foreach ((string key, JsonNode? value) in (JsonObject)JsonNode.Parse($"{{{DrawnModels[type]}}}")!)
            config[key] = value?.DeepClone();
        if (type == "falcon")
            foreach (string other in (string[])["num_key_value_heads", "head_dim", "intermediate_size"])
                config.Remove(other);
        if (type is "starcoder2" or "smollm3" or "olmo3") config.Remove("head_dim");
        return Drawn(folder, config.ToJsonString());
    }

    // A model of random weights, with a tokenizer.
    private static string Drawn(string folder, string config)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "config.json"), config);
        using PretrainedModel drawn = PretrainedModel.FromScratch(folder, seed: 5);
        IO.SafeTensorsWriter.Write(Path.Combine(folder, "model.safetensors"), [.. drawn.Network.Parameters]);
        return WithTokenizer(folder, folder + "-tokens");
    }
}
