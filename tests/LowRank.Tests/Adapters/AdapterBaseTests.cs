using LowRank.Adapters;
using LowRank.Adapters.Combining;
using LowRank.Adapters.Files;
using LowRank.Adapters.Operations;
using LowRank.Models;
using LowRank.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Adapters;

/// <summary>An adapter that is right beside a quantised base alone is not used beside another in silence.</summary>
public sealed class AdapterBaseTests : IDisposable
{
    private static readonly string Config =
        TinyModel.With(TinyModel.With(TinyModel.Llama, "hidden_size", 64), "intermediate_size", 128);

    private readonly TemporaryFolder folder = new();
    private readonly TinyModel tiny = new(Config);

    public AdapterBaseTests() => tiny.Save();

    [Fact]
    public void An_adapter_of_loftq_is_refused_on_another_base()
    {
        Save("loftq", "nf4");
        foreach (string other in new[] { "float32", "int8", "auto" })
        {
            using PretrainedModel model = PretrainedModel.Open(tiny.Path, baseDtype: other);
            InputException refused = Assert.Throws<InputException>(() => Adapter.Load(folder["adapter"], model));
            Assert.Contains(
                $"was opened in {(other == "auto" ? "float32" : other)}", refused.Message, StringComparison.Ordinal);
            Problem problem = Assert.Single(refused.Details);
            Assert.Equal((ProblemCodes.WrongFormat, KnownSettings.BaseDtype.To("nf4")), (problem.Code, problem.Remedy));
        }
    }

    [Fact]
    public void It_is_used_on_the_base_that_it_was_trained_on_packed_or_expanded()
    {
        Save("loftq", "nf4");
        Assert.Equal(("nf4", "float32", "auto"),
            (AdapterBase.DtypeFor([folder["adapter"]], "auto"), AdapterBase.DtypeFor([folder["adapter"]], "float32"),
            AdapterBase.DtypeFor([], "auto")));
        using var scope = NewDisposeScope();
        using PretrainedModel packed = PretrainedModel.Open(tiny.Path, baseDtype: "nf4");
        QuantizedFolder.Write(packed, folder["q"]);
        using PretrainedModel expanded = PretrainedModel.Open(folder["q"], baseDtype: "float32");
        Tensor[] outputs = [.. new[] { packed, expanded }.Select(model =>
        {
            using Adapter adapter = Adapter.Load(folder["adapter"], model);
            adapter.Attach();
            return model.Decoder.Forward(TinyModel.Ids(1, 5, 9));
        })];
        Assert.True(outputs[0].allclose(outputs[1], rtol: 1e-4, atol: 1e-5));
    }

    [Fact]
    public void What_is_made_of_it_says_so_too()
    {
        Save("loftq", "nf4");
        Save("True", "nf4", "plain");
        using var scope = NewDisposeScope();
        LoraFolder read = LoraFolder.Load(folder["adapter"]), plain = LoraFolder.Load(folder["plain"]);
        AdapterResize.Resize(read, 1).Adapter.Write(folder["resized"]);
        Assert.Equal(read.Base, AdapterBase.Load(folder["resized"]));
        Assert.Equal("nf4", read.Base!.BaseDtype);
        AdapterCombination.Combine([(plain, 0.5), (read, 0.5)], "cat", new CombineOptions()).Write(folder["combined"]);
        Assert.Equal(read.Base, AdapterBase.Load(folder["combined"]));
        LoraFolder other = read with { Base = new AdapterBase("int8") };
        Assert.Contains(
            "nf4 and int8",
            Assert.Throws<InputException>(
                () => AdapterCombination.Combine([(read, 1), (other, 1)], "cat", new CombineOptions())).Message,
                StringComparison.Ordinal);
        Assert.Contains(
            "nf4 alone", Assert.Throws<InputException>(
                () => MlxFolder.FromPeft(folder["adapter"], tiny.Path, folder["mlx"])).Message,
                StringComparison.Ordinal);
        using PretrainedModel packed = PretrainedModel.Open(tiny.Path, baseDtype: "nf4");
        using (Adapter adapter = Adapter.Load(folder["adapter"], packed)) adapter.Save(folder["again"]);
        Assert.Equal(read.Base, AdapterBase.Load(folder["again"]));
    }

    [Fact]
    public void Another_adapter_of_a_quantised_base_is_used_on_any()
    {
        Save("True", "nf4");
        using PretrainedModel model = PretrainedModel.Open(tiny.Path);
        using Adapter adapter = Adapter.Load(folder["adapter"], model);
        Assert.Null(adapter.Base!.BaseDtype);
        Assert.Equal("auto", AdapterBase.DtypeFor([folder["adapter"]], "auto"));
    }

    [Fact]
    public void PEFTs_files_are_those_of_any_adapter()
    {
        Save("loftq", "nf4");
        Assert.Equal(["adapter_config.json", "adapter_model.safetensors", "lowrank_base.json"], Files("adapter"));
        foreach (string dtype in new[] { "float32", "nf4" })
        {
            Save("True", dtype, dtype);
            Assert.Equal(["adapter_config.json", "adapter_model.safetensors", "lowrank_base.json"], Files(dtype));
            Assert.Equal(File.ReadAllText(Path.Combine(folder[dtype], AdapterConfig.FileName)),
                File.ReadAllText(Path.Combine(folder["adapter"], AdapterConfig.FileName)));
        }
        string[] Files(string name) =>
            [.. Directory.EnumerateFiles(folder[name]).Select(path => Path.GetFileName(path))
            .Order(StringComparer.Ordinal)];
    }

    [Theory]
    [InlineData("{", "is not what LowRank writes")]
    [InlineData("""{"base_dtype": "nf5"}""", "base_dtype is nf5, expected one of bfloat16, int8, nf4")]
    [InlineData("""{"base_dtype": "auto"}""", "base_dtype is auto")]
    [InlineData("{}", "base_dtype is missing")]
    [InlineData("""{"base_sha": "12"}""", "base_sha is 12, expected 64 hexadecimal digits")]
    public void A_broken_file_is_named(string text, string expected)
    {
        Save("loftq", "nf4");
        File.WriteAllText(Path.Combine(folder["adapter"], AdapterBase.FileName), text);
        InputException refused = Assert.Throws<InputException>(() => AdapterBase.Load(folder["adapter"]));
        Assert.Contains(expected, refused.Message, StringComparison.Ordinal);
        Assert.Contains(AdapterBase.FileName, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_adapter_names_the_base_that_it_was_trained_beside_and_is_warned_of_beside_another()
    {
        using TinyModel other = new(Config, seed: 2), random = new(Config);
        other.Save();
        Save("True", "float32");
        AdapterBase written = AdapterBase.Load(folder["adapter"])!;
        using PretrainedModel own = PretrainedModel.Open(tiny.Path), foreign = PretrainedModel.Open(other.Path);
        Assert.Equal(new AdapterBase(null, own.Fingerprint), written);
        using (Adapter same = Adapter.Load(folder["adapter"], own)) Assert.Empty(same.Warnings);
        using (Adapter moved = Adapter.Load(folder["adapter"], foreign))
            Assert.Contains(
                $"{folder["adapter"]} was trained beside another base, {tiny.Path}: the weights of {other.Path} " +
                $"have the fingerprint {foreign.Fingerprint![..12]}", Assert.Single(moved.Warnings),
                StringComparison.Ordinal);
        // A base of random weights has none, and an adapter of older versions says nothing.
        using (Adapter drawn = Adapter.Load(folder["adapter"], random.Model)) Assert.Empty(drawn.Warnings);
        File.Delete(Path.Combine(folder["adapter"], AdapterBase.FileName));
        using (Adapter old = Adapter.Load(folder["adapter"], foreign)) Assert.Empty(old.Warnings);
        // Quantised weights are others.
        using var scope = NewDisposeScope();
        using (PretrainedModel packed = PretrainedModel.Open(tiny.Path, baseDtype: "nf4"))
            QuantizedFolder.Write(packed, folder["q"]);
        using PretrainedModel quantized = PretrainedModel.Open(folder["q"]);
        Assert.NotEqual(own.Fingerprint, quantized.Fingerprint);
        Assert.Equal(new AdapterBase("nf4"),
            AdapterBase.Common([new AdapterBase("nf4", own.Fingerprint), new AdapterBase(null, foreign.Fingerprint)]));
        Assert.Null(
            AdapterBase.Common([new AdapterBase(null, own.Fingerprint), new AdapterBase(null, foreign.Fingerprint)]));
    }

    public void Dispose()
    {
        tiny.Dispose();
        folder.Dispose();
    }

    private void Save(string start, string dtype, string name = "adapter")
    {
        using PretrainedModel model = PretrainedModel.Open(tiny.Path, baseDtype: dtype);
        var config = new LoraConfig { Rank = 4, Alpha = 8, InitLoraWeights = start == "True" ? InitialWeights.True
            : InitialWeights.Parse(start) };
        using Adapter adapter = Adapter.Create(model, config, 1);
        adapter.Save(folder[name]);
    }
}
