using System.Text.Json;
using LowRank.Adapters;
using LowRank.Adapters.Inspection;
using LowRank.Cli.Views;
using LowRank.Models;
using Spectre.Console.Rendering;
using Spectre.Console.Testing;

namespace LowRank.Tests.Cli;

public sealed class SummaryViewTests
{
    private static readonly AdapterSummary Adapter = new(
        new LoraConfig { Rank = 2, Alpha = 4, BaseModel = "base[1]",
            TargetModules = ModuleSelection.Create("q_proj", "v_proj"), Bias = BiasTraining.Adapted },
        [new ModuleSummary("layers.0.q_proj", 2, 4, 2, 5, 3, new DeltaSpectrum([4, 3], 5, 4, 1.5))],
        25, 3000, ["something [odd]"]);

    private static readonly ModelSummary Model = new(
        "llama", 1234567, 12, [KeyValuePair.Create("BF16", 1234000L), KeyValuePair.Create("F32", 567L)],
            2470268, 30, 2);

    [Fact]
    public void An_adapter_for_people()
    {
        string text = Show(AdapterView.Table(Adapter, 975));
        Assert.Contains("LoRA adapter of base[1]", text);
        Assert.Contains("rank 2, alpha 4, dropout 0.0, bias lora_only", text);
        Assert.Contains("targets: q_proj, v_proj", text);
        Assert.Contains("trains 25 weights of 1,000 (2.5000 %)", text);
        Assert.Matches(@"layers\.0\.q_proj\s.*2\s.*2\s.*5 × 3\s.*5\s.*1\.50", text);
        Assert.Contains("█▆", text);
        Assert.Contains("the changes use all of rank 2", text);
        Assert.Contains("note: something [odd]", text);
        Assert.Contains("the base model was not found", Show(AdapterView.Table(Adapter, null)));
    }

    [Fact]
    public void An_adapter_for_programs()
    {
        Assert.Equal(
            """{"kind":"adapter","peft_type":"LORA","base_model":"base[1]","rank":2,"alpha":4,"use_rslora":false,"dropout":0,"bias":"lora_only","target_modules":["q_proj","v_proj"],"trainable_parameters":25,"base_parameters":975,"trainable_percent":2.5,"bytes":3000,"notes":["something [odd]"],"suggested_rank":2,"modules":[{"name":"layers.0.q_proj","rank":2,"alpha":4,"scale":2,"shape":[5,3],"parameters":16,"norm":5,"spectral_norm":4,"effective_rank":1.5,"singular_values":[4,3],"rank_99":2}]}""",
            JsonSerializer.Serialize(AdapterView.Json(Adapter, 975)));
        Assert.Contains(
            "\"base_parameters\":null,\"trainable_percent\":null",
            JsonSerializer.Serialize(AdapterView.Json(Adapter, null)));
    }

    [Fact]
    public void A_model_for_people_and_for_programs()
    {
        string text = Show(ModelView.Table(Model));
        Assert.Matches(@"parameters\s+1,234,567", text);
        Assert.Matches(@"dtype\s+BF16 \(1,234,000\), F32 \(567\)", text);
        Assert.Matches(@"tensors\s+30 in 2 files", text);
        Assert.Equal(
            """{"kind":"model","model_type":"llama","parameters":1234567,"layers":12,"dtype":"BF16","dtypes":{"BF16":1234000,"F32":567},"bytes":2470268,"tensors":30,"files":2}""",
            JsonSerializer.Serialize(ModelView.Json(Model)));
    }

    private static string Show(IRenderable picture)
    {
        using var console = new TestConsole();
        console.Profile.Width = 160;
        console.Write(picture);
        return console.Output;
    }
}
