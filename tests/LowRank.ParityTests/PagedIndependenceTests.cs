using LowRank.Adapters;
using LowRank.IO;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Testing;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>A text's logits are the same to the last bit, in whatever passes over pages it is computed and whatever
/// texts are beside it.</summary>
public sealed class PagedIndependenceTests
{
    private const string WideLlama = """
        {"model_type": "llama", "vocab_size": 700, "hidden_size": 320, "intermediate_size": 864, "num_hidden_layers": 1,
         "num_attention_heads": 5, "num_key_value_heads": 1, "max_position_embeddings": 64}
        """;

    private const string WideGpt2 = """
        {"model_type": "gpt2", "vocab_size": 700, "n_embd": 320, "n_layer": 1, "n_head": 5, "n_positions": 64,
         "embd_pdrop": 0, "attn_pdrop": 0, "resid_pdrop": 0}
        """;

    private static readonly int[] Lengths = [60, 5, 33, 1, 47];

    public static TheoryData<string> Decoders => [.. Golden.Decoders, .. Golden.Settings, "rope_dynamic",
        "phi3_longrope"];

    public static TheoryData<string> Methods => RowIndependenceTests.Methods;

    [Theory, MemberData(nameof(Decoders))]
    public void In_every_family(string family)
    {
        using var golden = new Golden(family, device: CPU);
        AssertIndependent(golden.Model.Decoder);
    }

    [Theory]
    [InlineData("bfloat16"), InlineData("int8"), InlineData("nf4")]
    public void In_every_format(string format)
    {
        using var golden = new Golden("llama", baseDtype: format, device: CPU);
        AssertIndependent(golden.Model.Decoder);
    }

    // Wide enough for products in several parts; GPT-2 stores its weights transposed.
    [Theory]
    [InlineData("gpt2", "float32"), InlineData("llama", "float32"), InlineData("llama", "bfloat16"),
        InlineData("llama", "int8"), InlineData("llama", "nf4")]
    public void In_a_wider_model(string family, string format)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["config.json"], family == "gpt2" ? WideGpt2 : WideLlama);
        using (var scope = NewDisposeScope())
        using (PretrainedModel made = PretrainedModel.FromScratch(folder.Path, 1))
            SafeTensorsWriter.Write(folder["model.safetensors"], [.. made.Decoder.Parameters.Select(
                weight => KeyValuePair.Create(weight.Key, weight.Value.detach()))]);
        using PretrainedModel model = PretrainedModel.Open(folder.Path, CPU, baseDtype: format);
        AssertIndependent(model.Decoder);
    }

    // Where training and prompts round to bfloat16 for their products.
    [Theory]
    [InlineData("auto"), InlineData("nf4")]
    public void With_products_in_bfloat16(string format)
    {
        using IDisposable stated = BFloat16Units.State(ComputeType.EmulatedBFloat16);
        using var golden = new Golden(
            "llama", baseDtype: format, device: CPU, computeDtype: ComputeTypes.BFloat16);
        AssertIndependent(golden.Model.Decoder);
    }

    [Theory, MemberData(nameof(Methods))]
    public void With_every_method(string name)
    {
        using var golden = new Golden("llama", device: CPU);
        using Adapter adapter = MethodPropertyTests.Create(
            name, seed: 1, rank: 4, alpha: 8, ["q_proj", "v_proj", "down_proj"], golden);
        MethodPropertyTests.Stir(adapter, 1);
        adapter.Attach();
        AssertIndependent(golden.Model.Decoder);
    }

    [Theory]
    [InlineData("llama"), InlineData("gpt2")]
    public void With_adapters_by_row(string family)
    {
        using var golden = new Golden(family, device: CPU);
        using var set = new AdapterSet(golden.Model);
        foreach (string name in new[] { "one", "two" })
            set.Add(name, Adapter.Create(golden.Model, new LoraConfig
            {
                TargetModules = ModuleSelection.AllLinear, InitLoraWeights = InitialWeights.False,
            }, seed: name.Length + name[0]));
        string?[] names = [null, "one", "two", "one", "two"];
        AssertIndependent(golden.Model.Decoder, rows => set.UseRows([.. rows.Select(text => names[text])]));
    }

    private static void AssertIndependent(Decoder model, Func<IReadOnlyList<int>, IDisposable>? use = null)
    {
        int[][] texts = [.. Lengths.Select((length, row) =>
            Enumerable.Range(0, Math.Min(length, model.LongestIndependentLength))
                .Select(i => (7 * row + 3 * i * i + 1) % Math.Min(100, model.VocabularySize)).ToArray())];
        var passes = new PagedPasses(model, texts);
        float[][][] alone = passes.Logits(passes.TokenByToken(), use);
        foreach (int seed in new[] { 1, 2, 3 })
        {
            float[][][] together = passes.Logits(passes.Random(seed), use);
            for (int text = 0; text < texts.Length; text++)
                for (int token = 0; token < texts[text].Length; token++)
                    Assert.True(alone[text][token].AsSpan().SequenceEqual(together[text][token]),
                        $"token {token} of text {text} differs by " +
                        $"{alone[text][token].Zip(together[text][token], (a, b) => Math.Abs(a - b)).Max()}");
        }
    }
}
