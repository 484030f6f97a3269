using LowRank.Adapters;
using LowRank.Adapters.Inspection;
using LowRank.IO;
using TorchSharp;

namespace LowRank.Tests.Adapters.Inspection;

public sealed class AdapterSummaryTests
{
    private const string Prefix = "base_model.model.";

    private static readonly LoraConfig Config = new()
    {
        Rank = 2, Alpha = 4, TargetModules = ModuleSelection.Create("q_proj"), BaseModel = "base",
        AlphaPattern = new OrderedDictionary<string, ConfigNumber> { ["layers.10.q_proj"] = 6 },
    };

    private static void Write(string folder, LoraConfig config, params (string Key, torch.Tensor Tensor)[] tensors)
    {
        config.Save(folder);
        SafeTensorsWriter.Write(
            Path.Combine(folder, "adapter_model.safetensors"),
            [.. tensors.Select(t => KeyValuePair.Create(Prefix + t.Key, t.Tensor))]);
    }

    private static torch.Tensor Matrix(float[,] values) => torch.tensor(values);

    [Fact]
    public void Norms_and_effective_ranks_follow_from_the_pairs_and_their_scales()
    {
        using var scope = torch.NewDisposeScope();
        using var folder = new TemporaryFolder();
        // B·A of layer 2 is diag(3, 4) in a [2, 3] matrix; that of layer 10 has one direction of size 5.
        Write(folder.Path, Config,
            ("layers.10.q_proj.lora_A.weight", Matrix(new float[,] { { 3, 4, 0 }, { 0, 0, 0 } })),
            ("layers.10.q_proj.lora_B.weight", Matrix(new float[,] { { 1, 0 }, { 0, 1 } })),
            ("layers.2.q_proj.lora_A.weight", Matrix(new float[,] { { 3, 0, 0 }, { 0, 4, 0 } })),
            ("layers.2.q_proj.lora_B.weight", Matrix(new float[,] { { 1, 0 }, { 0, 1 } })));

        AdapterSummary summary = AdapterSummary.Load(folder.Path);

        Assert.Equal(["layers.2.q_proj", "layers.10.q_proj"], summary.Modules.Select(module => module.Path));
        Assert.Equal(20, summary.Parameters);
        Assert.Empty(summary.Notes);
        ModuleSummary second = summary.Modules[0], tenth = summary.Modules[1];
        Assert.Equal((2, 4.0, 2.0, 2, 3, 10),
            (second.Rank, second.Alpha, second.Scale, (int)second.OutputSize, (int)second.InputSize,
            (int)second.Parameters));
        Assert.Equal(10, second.Delta!.FrobeniusNorm, 6);
        Assert.Equal(8, second.Delta.SpectralNorm, 6);
        Assert.Equal(Math.Exp(-(3 / 7.0 * Math.Log(3 / 7.0)) - (4 / 7.0 * Math.Log(4 / 7.0))),
            second.Delta.EffectiveRank, 6);
        Assert.Equal((6.0, 3.0), (tenth.Alpha, tenth.Scale));
        Assert.Equal(15, tenth.Delta!.FrobeniusNorm, 5);
        Assert.Equal(1, tenth.Delta.EffectiveRank, 5);
    }

    [Fact]
    public void Other_trained_tensors_are_counted_and_named()
    {
        using var scope = torch.NewDisposeScope();
        using var folder = new TemporaryFolder();
        Write(folder.Path, Config with { Bias = BiasTraining.All },
            ("q_proj.lora_A.weight", torch.ones(2, 3)), ("q_proj.lora_B.weight", torch.ones(5, 2)),
            ("q_proj.base_layer.bias", torch.ones(5)), ("norm.bias", torch.ones(7)));
        AdapterSummary summary = AdapterSummary.Load(folder.Path);
        Assert.Equal(6 + 10 + 5 + 7, summary.Parameters);
        Assert.Equal(2, summary.Notes.Count);
        Assert.All(summary.Notes, note => Assert.Contains("(biases)", note));
    }

    [Fact]
    public void A_broken_pair_is_refused_with_all_its_problems()
    {
        using var scope = torch.NewDisposeScope();
        using var folder = new TemporaryFolder();
        Write(folder.Path, Config,
            ("a.q_proj.lora_A.weight", torch.ones(2, 3)),
            ("b.q_proj.lora_A.weight", torch.ones(2, 3)), ("b.q_proj.lora_B.weight", torch.ones(5, 4)),
            ("c.q_proj.lora_A.weight", torch.ones(6)), ("c.q_proj.lora_B.weight", torch.ones(5, 2)));
        var e = Assert.Throws<InputException>(() => AdapterSummary.Load(folder.Path));
        Assert.Equal(3, e.Problems.Count);
        Assert.Contains(e.Problems, problem => problem.Contains("a.q_proj.lora_A.weight has no partner"));
        Assert.Contains(
            e.Problems, problem => problem.Contains("b.q_proj.lora_A.weight is [2, 3]") && problem.Contains("[5, 4]"));
        Assert.Contains(e.Problems, problem => problem.Contains("c.q_proj.lora_A.weight is [6]"));
    }

    [Fact]
    public void Values_that_are_not_finite_are_refused_by_module()
    {
        using var scope = torch.NewDisposeScope();
        using var folder = new TemporaryFolder();
        Write(folder.Path, Config, ("x.q_proj.lora_A.weight", torch.ones(2, 3)),
            ("x.q_proj.lora_B.weight", torch.full([5, 2], Number(float.NaN))));
        Assert.Contains("x.q_proj", Assert.Throws<NonFiniteException>(() => AdapterSummary.Load(folder.Path)).Message);
    }
}
