using LowRank.Adapters;
using LowRank.Data;
using LowRank.Generation;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Quantization;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Models;

/// <summary>Models whose products are computed in bfloat16, and heads that are kept as the base is.</summary>
public sealed class ComputedModelTests : IDisposable
{
    private const string Untied = """
        {"model_type": "llama", "vocab_size": 96, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "tie_word_embeddings": false}
        """;

    private readonly TemporaryFolder folder = new();
    private readonly IDisposable units = BFloat16Units.State(ComputeType.EmulatedBFloat16);
    private readonly TinyModel untied = new(Untied), tied = new(TinyModel.With(Untied, "tie_word_embeddings", true));

    public ComputedModelTests()
    {
        untied.Save();
        tied.Save();
    }

    public void Dispose()
    {
        units.Dispose();
        untied.Dispose();
        tied.Dispose();
        folder.Dispose();
    }

    // More rows than are multiplied directly.
    private static Tensor Ids => (Indices(0, 24).view(1, -1) * Number(7)) % Number(96);

    private static Tensor Logits(PretrainedModel model) => model.Decoder.Forward(Ids);

    private static double Deviation(Tensor wanted, Tensor found) =>
        (wanted - found).abs().max().item<float>() / wanted.abs().max().item<float>();

    [Theory, InlineData(false), InlineData(true)]
    public void Linear_weights_and_the_head_are_held_in_bfloat16_alone(bool isTied)
    {
        using var scope = NewDisposeScope();
        string path = isTied ? tied.Path : untied.Path;
        using PretrainedModel plain = PretrainedModel.Open(path);
        using PretrainedModel model = PretrainedModel.Open(path, computeDtype: "bfloat16");
        INetwork network = model.Network;
        Assert.Equal(("float32", "bfloat16"), (plain.ComputeDtype, model.ComputeDtype));
        Assert.All(network.LinearLayers.Append(network.OutputHead!),
            layer => Assert.Equal(("bfloat16", true), (layer.Packed!.Format, layer.Packed.IsWorkingCopy)));
        // The table of a tied head stays for lookups, mapped from the file, and nothing else that is large is float32.
        Assert.Equal(isTied, ReferenceEquals(network.OutputHead!.Weight, network.TokenEmbedding.Weight));
        Assert.All(network.Parameters.Where(weight => weight.Value.dim() > 1),
            weight => Assert.Equal("model.embed_tokens.weight", weight.Key));
        Assert.Equal(plain.Network.ParameterCount, network.ParameterCount);
        Assert.True(network.WeightBytes < plain.Network.WeightBytes * 0.7,
            $"{network.WeightBytes} of {plain.Network.WeightBytes}");
        Assert.False(model.IsQuantized);
        Assert.InRange(Deviation(Logits(plain), Logits(model)), 1e-5, 0.02);
    }

    [Fact]
    public void Quantised_weights_keep_their_format_and_the_others_are_rounded()
    {
        using var scope = NewDisposeScope();
        foreach (string format in (string[])["nf4", "int8"])
        {
            using PretrainedModel plain = PretrainedModel.Open(untied.Path, baseDtype: format);
            using PretrainedModel model =
                PretrainedModel.Open(untied.Path, baseDtype: format, computeDtype: "bfloat16");
            Assert.All(model.Network.LinearLayers, layer => Assert.Equal(format, layer.Packed!.Format));
            Assert.Equal("bfloat16", model.Network.OutputHead!.Packed!.Format);
            Assert.InRange(Deviation(Logits(plain), Logits(model)), 1e-5, 0.02);
            // A folder that stores them so, opened as it is and expanded.
            QuantizedFolder.Write(model, folder[format]);
            using PretrainedModel read = PretrainedModel.Open(folder[format], computeDtype: "bfloat16");
            Assert.All(read.Network.LinearLayers, layer => Assert.Equal(format, layer.Packed!.Format));
            Assert.Equal(0, Deviation(Logits(model), Logits(read)));
            using PretrainedModel wide =
                PretrainedModel.Open(folder[format], baseDtype: "float32", computeDtype: "bfloat16");
            Assert.All(wide.Network.LinearLayers, layer => Assert.Equal("bfloat16", layer.Packed!.Format));
            Assert.InRange(Deviation(Logits(model), Logits(wide)), 0, 0.01);
        }
    }

    [Theory]
    [InlineData("nf4", false), InlineData("nf4", true), InlineData("int8", true), InlineData("bfloat16", false)]
    public void A_head_is_kept_as_the_base_is(string format, bool isTied)
    {
        using var scope = NewDisposeScope();
        string path = isTied ? tied.Path : untied.Path;
        foreach (string compute in (string[])["float32", "bfloat16"])
        {
            using PretrainedModel wide = PretrainedModel.Open(path, baseDtype: format, computeDtype: compute);
            using PretrainedModel model =
                PretrainedModel.Open(path, baseDtype: format, computeDtype: compute, baseHead: "base");
            Assert.Equal(compute == "float32", wide.Network.OutputHead!.Packed is null);
            PackedWeight head = model.Network.OutputHead!.Packed!;
            Assert.Equal((format, false), (head.Format, head.IsWorkingCopy));
            Assert.InRange(Deviation(Logits(wide), Logits(model)), format == "bfloat16" && compute == "bfloat16" ? 0
                : 1e-5, 0.2);
            // The states are the same, and the head multiplies with what its format keeps.
            Tensor states = wide.Decoder.Hidden(Ids), kept = head.Expand();
            Tensor wanted = model.Network.OutputHead.Matrix.shape.SequenceEqual(kept.shape)
                ? nn.functional.linear(states, kept) : throw new InvalidOperationException();
            Assert.InRange(Deviation(wanted, model.Decoder.Logits(states)), 0, compute == "float32" ? 1e-5 : 0.01);
            Assert.Equal(isTied, ReferenceEquals(model.Network.OutputHead.Weight, model.Network.TokenEmbedding.Weight));
        }
    }

    /// <summary>Loss and gradients through a packed or rounded head: with an adapter on it, and on the layers below
    /// it.</summary>
    [Theory]
    [InlineData("auto", "bfloat16", "float32", false), InlineData("auto", "bfloat16", "float32", true)]
    [InlineData("nf4", "float32", "base", false), InlineData("nf4", "float32", "base", true)]
    [InlineData("int8", "bfloat16", "base", true)]
    public void Fast_and_plain_forms_train_alike(string dtype, string compute, string head, bool isTied)
    {
        using var scope = NewDisposeScope();
        using PretrainedModel model = PretrainedModel.Open(
            isTied ? tied.Path : untied.Path, baseDtype: dtype, computeDtype: compute, baseHead: head);
        foreach (string targets in (string[])["q_proj", "lm_head"])
        {
            using Adapter adapter = Changed(model, targets);
            (double loss, Tensor gradients) = Gradients(model, adapter);
            using IDisposable form = KernelForm.UsePlain();
            (double plainLoss, Tensor plainGradients) = Gradients(model, adapter);
            double tolerance = compute == "float32" ? 1e-4 : 0.02;
            Assert.InRange(loss / plainLoss, 1 - tolerance, 1 + tolerance);
            Assert.InRange(Deviation(plainGradients, gradients), 0, tolerance);
        }
    }

    [Theory, InlineData(false), InlineData(true)]
    public void A_merge_takes_the_folders_own_weights(bool isTied)
    {
        using var scope = NewDisposeScope();
        string path = isTied ? tied.Path : untied.Path;
        using PretrainedModel plain = PretrainedModel.Open(path);
        using PretrainedModel model = PretrainedModel.Open(path, computeDtype: "bfloat16");
        foreach (string targets in (string[])["down_proj", "lm_head"])
        {
            using Adapter onPlain = Changed(plain, targets), onRounded = Changed(model, targets);
            AdapterMerge.Write(plain, onPlain, folder["plain" + targets]);
            MergeReport report = AdapterMerge.Write(model, onRounded, folder["rounded" + targets]);
            Assert.Null(report.Format);
            Assert.Equal(File.ReadAllBytes(folder[$"plain{targets}/model.safetensors"]),
                File.ReadAllBytes(folder[$"rounded{targets}/model.safetensors"]));
        }
    }

    [Fact]
    public void A_merge_into_a_packed_head_changes_what_the_head_gives()
    {
        using var scope = NewDisposeScope();
        using PretrainedModel model = PretrainedModel.Open(untied.Path, baseDtype: "nf4", baseHead: "base");
        using Adapter adapter = Changed(model, "lm_head");
        Tensor adapted = Logits(model);
        adapter.Merge();
        Assert.InRange(Deviation(adapted, Logits(model)), 0, 1e-4);
        adapter.Unmerge();
        AdapterMerge.Write(model, adapter, folder["merged"]);
        using PretrainedModel merged = PretrainedModel.Open(folder["merged"]);
        Assert.InRange(Deviation(adapted, Logits(merged)), 0, 1e-4);
        Assert.Contains("output head in nf4", Assert.Throws<InputException>(
            () => QuantizedFolder.Write(model, folder["q"])).Message);
    }

    /// <summary>Rows of the table that an adapter trains or adds reach a head that has a copy of the table.</summary>
    [Theory, InlineData("auto", "bfloat16", "float32"), InlineData("nf4", "float32", "base")]
    public void A_tied_heads_copy_follows_its_table(string dtype, string compute, string head)
    {
        using var scope = NewDisposeScope();
        using PretrainedModel model =
            PretrainedModel.Open(tied.Path, baseDtype: dtype, computeDtype: compute, baseHead: head);
        Tensor before = Logits(model);
        using Adapter adapter = Adapter.Create(model, new LoraConfig
        {
            Rank = 2, Alpha = 4, TargetModules = ["q_proj"], TrainableTokenIndices = [new(null, [3, 40])],
        }, 1);
        adapter.Attach();
        using (no_grad())
            foreach ((string key, Tensor weight) in adapter.TrainedWeights)
                if (key.Contains("trainable_tokens", StringComparison.Ordinal)) weight.add_(Number(0.5), Number(1));
        Tensor adapted = Logits(model);
        Assert.InRange(Deviation(before, adapted), 0.05, double.MaxValue);
        adapter.Merge();
        Assert.InRange(Deviation(adapted, Logits(model)), 0, 0.05);
        adapter.Unmerge();
        adapter.Detach();
        Assert.Equal(0, Deviation(before, Logits(model)));
        // Values that change for good.
        PackedWeight copy = model.Network.OutputHead!.Packed!;
        using (no_grad()) model.Network.TokenEmbedding.Weight.mul_(Number(2));
        copy.Refresh();
        Assert.InRange(Deviation(model.Network.TokenEmbedding.Weight, copy.Expand()), 0, 0.2);
    }

    [Fact]
    public void What_rounding_does_not_fit_is_refused()
    {
        Assert.Contains("weights rounded to bfloat16, which are frozen: every weight cannot be trained",
            Assert.Throws<InputException>(
                () => PretrainedModel.Open(untied.Path, trainable: true, computeDtype: "bfloat16")).Message);
        Assert.Contains("the storage of the output head is nf4, expected one of float32, base",
            Assert.Throws<InputException>(() => PretrainedModel.Open(untied.Path, baseHead: "nf4")).Message);
        using PretrainedModel model = PretrainedModel.Open(untied.Path, computeDtype: "bfloat16");
        string said = Assert.Throws<InputException>(() => Adapter.Create(
            model, new LoraConfig { Rank = 2, Alpha = 4, TargetModules = ["q_proj"], ModulesToSave = ["lm_head"] },
            1)).Message;
        Assert.Contains("kept in bfloat16, which cannot be trained", said);
        Assert.Contains("compute, in float32", said);
    }

    [Theory, InlineData("auto", "bfloat16", "float32"), InlineData("nf4", "bfloat16", "base")]
    public void Texts_go_on_as_the_logits_say(string dtype, string compute, string head)
    {
        using var scope = NewDisposeScope();
        using PretrainedModel model =
            PretrainedModel.Open(tied.Path, baseDtype: dtype, computeDtype: compute, baseHead: head);
        int[] prompt = [.. Enumerable.Range(0, 20).Select(i => i * 7 % 96)];
        IReadOnlyList<int> written = Assert.Single(
            new TextGenerator(model.Decoder).Generate([prompt], new GenerationOptions { MaxNewTokens = 6 }));
        Assert.Equal(6, written.Count);
        // The first token's state comes out of the prompt, which is one product of many rows.
        Tensor all = tensor(prompt.Select(id => (long)id).ToArray()).view(1, -1);
        Assert.Equal(model.Decoder.Forward(all)[0, -1].argmax().item<long>(), written[0]);
    }

    private static Adapter Changed(PretrainedModel model, string target)
    {
        Adapter adapter = Adapter.Create(
            model, new LoraConfig { Rank = 4, Alpha = 8, TargetModules = [target] }, 3);
        adapter.Attach();
        using var noGradient = no_grad();
        using var random = new Generator().manual_seed(8);
        foreach ((string _, Tensor weight) in adapter.TrainedWeights)
            weight.add_(randn(weight.shape, generator: random), Number(0.03));
        return adapter;
    }

    private static (double Loss, Tensor Gradients) Gradients(PretrainedModel model, Adapter adapter)
    {
        adapter.SetTrainable(true);
        int[] tokens = [.. Enumerable.Range(0, 24).Select(i => i * 7 % 96)];
        Tensor loss = new CausalObjective(model.Decoder).Sum([new TokenizedExample(tokens, tokens)], null);
        loss.backward();
        Tensor gradients = cat([.. adapter.TrainedWeights.Select(weight => weight.Value.grad!.reshape(-1))]);
        adapter.SetTrainable(false);
        foreach ((string _, Tensor weight) in adapter.TrainedWeights) weight.grad = null;
        return (loss.item<float>(), gradients);
    }
}
