using LowRank.Adapters;
using LowRank.IO;
using LowRank.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Adapters;

/// <summary>Two adapters that change the same weights of one base, attached, merged and loaded in any order.</summary>
public sealed class TwoAdaptersTests : IDisposable
{
    private static readonly string[] Steps = ["attach", "merge", "stop"];

    private readonly TemporaryFolder folder = new();
    private readonly TinyModel tiny = new(
        TinyModel.With(TinyModel.With(TinyModel.Llama, "attention_bias", true), "num_hidden_layers", 1));
    private readonly DisposeScope scope = NewDisposeScope();

    public TwoAdaptersTests()
    {
        using var noGradient = no_grad();
        foreach ((string name, Tensor weight) in tiny.Model.Decoder.Parameters)
            if (name.EndsWith(".bias", StringComparison.Ordinal)) weight.normal_(0, 0.1);
    }

    public static TheoryData<string> Pairs =>
        ["bias", "bitfit", "modules_to_save", "head", "lora", "dora", "lora_bias", "bias+lora_bias", "head+lora",
            "dora+lora", "pissa+lora", "ia3+dora"];

    public void Dispose()
    {
        scope.Dispose();
        tiny.Dispose();
        folder.Dispose();
    }

    [Theory, MemberData(nameof(Pairs))]
    public void Whatever_two_adapters_do_the_base_comes_back_and_each_keeps_its_values(string pair)
    {
        Save(pair);
        var problems = new List<string>();
        // The second adapter is loaded beside the first, attached or merged; then either does two more things.
        foreach (int start in new[] { 0, 1 })
            for (int order = 0; order < 36; order++) problems.AddRange(Try([start, order % 6, order / 6]));
        Assert.Empty(problems.Take(5));
    }

    [Theory, InlineData("bias"), InlineData("bitfit"), InlineData("modules_to_save"), InlineData("head")]
    public void A_set_loads_each_adapter_for_the_bare_base(string kind)
    {
        Save(kind);
        Dictionary<string, Tensor> before = Copies();
        Tensor ids = TinyModel.Ids(1, 2, 3), alone = tiny.Model.Decoder.Forward(ids), second;
        using (Adapter only = Adapter.Load(folder["second"], tiny.Model))
        {
            only.Attach();
            second = tiny.Model.Decoder.Forward(ids);
        }
        using var set = new AdapterSet(tiny.Model);
        set.Load("first", folder["first"]);
        set.Activate("first");
        set.Load("second", folder["second"]);
        Assert.Equal(["first"], set.Active.Select(active => active.Name));
        set.Activate("second");
        Assert.Equal(0, Difference(tiny.Model.Decoder.Forward(ids), second));
        set.Activate();
        Assert.Equal(0, Difference(tiny.Model.Decoder.Forward(ids), alone));
        Assert.Empty(Changed(before, 0));
    }

    [Fact]
    public void A_new_adapter_begins_with_the_weights_of_the_base()
    {
        Save("bias");
        Dictionary<string, Tensor> before = Copies();
        using Adapter first = Adapter.Load(folder["first"], tiny.Model);
        first.Attach();
        using (Adapter made = Adapter.Create(tiny.Model, Config("bias"), seed: 3))
            foreach (TrainedParameter weight in made.Replaced)
                Assert.Equal(0, Difference(weight.Value, before[weight.Name]));
        Assert.True(first.IsAttached);
        Assert.NotEmpty(Changed(before, 1e-3));
    }

    [Fact]
    public void Training_goes_on_with_the_same_weights_after_another_adapter_is_loaded()
    {
        Save("bias");
        using Adapter first = Adapter.Load(folder["first"], tiny.Model);
        first.Attach();
        first.SetTrainable(true);
        using Adapter second = Adapter.Load(folder["second"], tiny.Model);
        Assert.All(first.TrainedWeights, weight => Assert.True(weight.Value.requires_grad, weight.Key));
    }

    [Fact]
    public void An_adapter_that_cannot_be_attached_leaves_the_model_as_it_was()
    {
        var config = new PromptTuningConfig { NumVirtualTokens = 2, ModulesToSave = ["lm_head"] };
        using Adapter first = Adapter.Create(tiny.Model, config with { ModulesToSave = null }, seed: 1),
            second = Adapter.Create(tiny.Model, config, seed: 2), third = Adapter.Create(tiny.Model, Config("head"), 3);
        first.Attach();
        Assert.Throws<InputException>(second.Attach);
        Assert.False(second.IsAttached);
        third.Attach(); // lm_head is free again
    }

    [Fact]
    public void A_merge_that_fails_halfway_leaves_the_weights_as_they_were()
    {
        Dictionary<string, Tensor> before = Copies();
        // q_proj has a bias that takes B's; gate_proj has none.
        using Adapter adapter = Adapter.Create(
            tiny.Model, new LoraConfig { LoraBias = true, TargetModules = ["q_proj", "gate_proj"],
            InitLoraWeights = InitialWeights.False }, seed: 1);
        Assert.Throws<InputException>(adapter.Merge);
        Assert.False(adapter.IsMerged);
        Assert.Empty(Changed(before, 1e-6));
        adapter.Attach();
    }

    [Theory, InlineData("lowrank_task.json", "{"), InlineData("lowrank_data.json", "{"),
        InlineData("adapter_model.safetensors", "a copy of another base")]
    public void A_folder_that_cannot_be_loaded_leaves_no_tensor_behind(string file, string content)
    {
        using (Adapter made = Adapter.Create(
            tiny.Model,
            new LoraConfig { UseDora = true, TargetModules = ["q_proj", "lm_head"], ModulesToSave = ["k_proj"] }, 1))
            made.Save(folder["broken"]);
        if (content == "{") File.WriteAllText(Path.Combine(folder["broken"], file), content);
        else AddForeignCopy(Path.Combine(folder["broken"], file));
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (int i = 0; i < 3; i++)
            Assert.Contains(content == "{" ? file : "that differ from those",
                Assert.Throws<InputException>(() => Adapter.Load(folder["broken"], tiny.Model)).Message,
                StringComparison.Ordinal);
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private void AddForeignCopy(string path)
    {
        using var inner = NewDisposeScope();
        KeyValuePair<string, Tensor>[] tensors;
        using (var file = SafeTensorsFile.Open(path))
            tensors = [.. file.Entries.Keys.Select(key => KeyValuePair.Create(key, file.Map(key).clone()))];
        string key = "base_model.model.lm_head.base_layer.weight"; // PEFT's copy of an adapted output head
        SafeTensorsWriter.Write(path, [.. tensors.Where(tensor => tensor.Key != key),
            KeyValuePair.Create(key, zeros_like(tiny.Model.Decoder.Parameters["lm_head.weight"]))]);
    }

    private List<string> Try(int[] steps)
    {
        Dictionary<string, Tensor> before = Copies();
        var problems = new List<string>();
        string words = string.Join(", ", steps.Select(step => $"{(step < 3 ? "first" : "second")} {Steps[step % 3]}"));
        using Adapter first = Adapter.Load(folder["first"], tiny.Model);
        Take(first, Steps[steps[0]]);
        using Adapter second = Adapter.Load(folder["second"], tiny.Model);
        foreach (int step in steps[1..]) Take(step < 3 ? first : second, Steps[step % 3]);
        problems.AddRange(Unlike(first, "first").Concat(Unlike(second, "second")).Select(key => $"{words}: {key}"));
        Take(first, "stop");
        Take(second, "stop");
        problems.AddRange(Unlike(first, "first").Concat(Unlike(second, "second"))
            .Select(key => $"{words}, all off: {key}"));
        problems.AddRange(Changed(before, 1e-6).Select(name => $"{words}: the base's {name}"));
        return problems;
    }

    private static void Take(Adapter adapter, string step)
    {
        try
        {
            if (step == "attach") adapter.Attach();
            else if (step == "merge") adapter.Merge();
            else
            {
                adapter.Unmerge();
                adapter.Detach();
            }
        }
        catch (Exception e) when (e is InputException or InvalidOperationException)
        {
            // What two adapters cannot do together is refused, and nothing has changed then.
        }
    }

    private IEnumerable<string> Unlike(Adapter adapter, string name)
    {
        using var file = SafeTensorsFile.Open(Path.Combine(folder[name], Adapter.FileName));
        foreach ((string key, Tensor weight) in adapter.Weights)
            if (file.Entries.ContainsKey(key) && Difference(weight, file.Map(key)) > 0) yield return $"{name}'s {key}";
    }

    private void Save(string pair)
    {
        string[] kinds = pair.Split('+');
        Save(kinds[0], "first");
        Save(kinds[^1], "second");
    }

    private void Save(string kind, string name)
    {
        using var noGradient = no_grad();
        using Adapter adapter = Adapter.Create(tiny.Model, Config(kind), name.Length);
        adapter.Attach();
        foreach ((string _, Tensor weight) in adapter.TrainedWeights)
            weight.add_(randn_like(weight) * Number(0.1), Number(1));
        adapter.Save(folder[name]);
    }

    private static AdapterConfig Config(string kind)
    {
        var lora = new LoraConfig { Rank = 2, TargetModules = ["q_proj", "v_proj"] };
        return kind switch
        {
            "bias" => lora with { Bias = BiasTraining.Adapted },
            "bitfit" => new BitFitMethod().Configure(lora),
            "modules_to_save" => lora with { ModulesToSave = ["k_proj"] },
            "head" => lora with { ModulesToSave = ["lm_head"] },
            "dora" => lora with { UseDora = true },
            "lora_bias" => lora with { LoraBias = true },
            "pissa" => lora with { InitLoraWeights = InitialWeights.Pissa },
            "ia3" => new Ia3Config { TargetModules = ["q_proj", "v_proj"], FeedforwardModules = [] },
            _ => lora with { TargetModules = ["q_proj", "v_proj", "lm_head"] },
        };
    }

    private Dictionary<string, Tensor> Copies() =>
        tiny.Model.Decoder.Parameters.ToDictionary(weight => weight.Key, weight => weight.Value.detach().clone());

    private IEnumerable<string> Changed(Dictionary<string, Tensor> before, double tolerance) =>
        before.Where(weight => Difference(tiny.Model.Decoder.Parameters[weight.Key], weight.Value) > tolerance)
        .Select(weight => weight.Key);

    private static float Difference(Tensor left, Tensor right)
    {
        using var inner = NewDisposeScope();
        return (left.detach() - right.detach()).abs().max().item<float>();
    }
}
