using System.Text.Json;
using LowRank.Adapters;
using LowRank.Adapters.Files;

namespace LowRank.ParityTests.Adapters;

/// <summary>What PEFT itself adapts and saves for random configs on six models
/// (Fixtures/adapters/make_peft_targets.py).</summary>
public sealed class PeftTargetTests
{
    private static readonly List<Case> Cases = [.. Read()];

    public static TheoryData<int> Numbers => [.. Enumerable.Range(0, Cases.Count)];

    [Fact]
    public void There_are_cases_of_every_kind()
    {
        Assert.Equal(360, Cases.Count);
        Assert.InRange(Cases.Count(c => c.Outcome.TryGetProperty("error", out _)), 40, 150);
        Assert.InRange(Cases.Count(c => c.Outcome.TryGetProperty("tensors", out _)), 150, 350);
    }

    [Theory]
    [MemberData(nameof(Numbers))]
    public void The_targets_are_those_of_PEFT(int number)
    {
        Case given = Cases[number];
        if (given.Outcome.TryGetProperty("error", out _))
        {
            Assert.Throws<InputException>(() => Match(given, AdapterUse.Load));
            return;
        }
        Dictionary<string, (int, double, double)> expected = given.Outcome.GetProperty("targets").EnumerateObject()
            .ToDictionary(t => t.Name, t => (t.Value[0].GetInt32(), t.Value[1].GetDouble(), t.Value[2].GetDouble()));
        TargetMatch match = Match(given, AdapterUse.Load);
        Assert.Equal(expected, match.Targets.ToDictionary(t => t.Path, t => (t.Rank, t.Alpha, t.Scale)));
    }

    [Theory]
    [MemberData(nameof(Numbers))]
    public void A_new_adapter_is_saved_as_PEFT_saves_it(int number)
    {
        Case given = Cases[number];
        TargetMatch? match = TryCreate(given);
        if (given.Outcome.TryGetProperty("error", out _)) Assert.Null(match);
        // refused: PEFT would pass over a part of the config, see The_targets_are_those_of_PEFT
        if (match is null) return;
        JsonElement saved = given.Outcome.GetProperty("saved");
        ModuleSelection targets = match.Resolved.TargetModules!;
        if (saved.ValueKind == JsonValueKind.String) Assert.Equal(saved.GetString(), targets.Text);
        else Assert.Equal(saved.EnumerateArray().Select(name => name.GetString()!), targets.Names!);
        Assert.Equal(given.Outcome.GetProperty("fan").GetBoolean(), match.Resolved.FanInFanOut);
    }

    [Fact]
    public void Most_configs_that_PEFT_takes_whole_make_a_new_adapter() =>
        Assert.InRange(Cases.Count(given => TryCreate(given) is not null), 120, 360);

    [Theory]
    [MemberData(nameof(Numbers))]
    public void The_tensors_are_those_that_PEFT_saves(int number)
    {
        Case given = Cases[number];
        if (!given.Outcome.TryGetProperty("tensors", out JsonElement tensors)) return;
        // PEFT decides by the config it saves, so a default and "all-linear" have to be names
        AdapterConfig saved = Config(given) with { TargetModules = Selection(given.Outcome.GetProperty("saved")) };
        AdapterLayout layout = AdapterLayout.Create(saved, Match(given, AdapterUse.Load).Targets, given.Modules);
        Dictionary<string, long[]> expected = tensors.EnumerateObject()
            .ToDictionary(t => t.Name, t => t.Value.EnumerateArray().Select(size => size.GetInt64()).ToArray());
        // Tables may lie beside any adapter (save_embedding_layers=True); PEFT writes them by itself only where it says
        // so here.
        Assert.Equal(expected.Keys.Order(StringComparer.Ordinal),
            layout.Tensors.Where(t => t.Part != AdapterTensorPart.Table || expected.ContainsKey(t.Key))
            .Select(t => t.Key));
        Assert.All(layout.Tensors.Where(t => t.Part == AdapterTensorPart.Table), t => Assert.False(t.IsRequired));
        Assert.Empty(layout.Problems(expected));
    }

    private static TargetMatch Match(Case given, AdapterUse use) =>
        TargetMatcher.Select(Config(given), given.Modules, given.Model, use);

    private static TargetMatch? TryCreate(Case given)
    {
        try
        {
            return Match(given, AdapterUse.Create);
        }
        catch (InputException)
        {
            return null;
        }
    }

    private static ModuleSelection Selection(JsonElement saved) => saved.ValueKind == JsonValueKind.String
        ? ModuleSelection.Pattern(saved.GetString()!)
        : ModuleSelection.Create([.. saved.EnumerateArray().Select(name => name.GetString()!)]);

    private static IEnumerable<Case> Read()
    {
        string model = "";
        List<ModuleInfo> modules = [];
        foreach (string line in File.ReadLines(
            Path.Combine(AppContext.BaseDirectory, "Fixtures", "adapters", "peft_targets.jsonl")))
        {
            JsonElement row = JsonElement.Parse(line);
            if (row.TryGetProperty("model", out JsonElement name))
            {
                model = name.GetString()!;
                modules = [.. row.GetProperty("modules").EnumerateArray().Select(Module)];
                continue;
            }
            yield return new Case(model, modules, row);
        }
    }

    private static AdapterConfig Config(Case given)
    {
        string json = given.Outcome.GetProperty("config").GetRawText();
        // refuses what PEFT's own constructor refuses
        AdapterConfig config = AdapterConfig.Parse(json.Insert(1, "\"peft_type\":\"LORA\","), "the case");
        // PEFT's model for this task adds its heads before it looks for targets
        return config.TaskType == "SEQ_CLS"
            ? config with { ModulesToSave = [.. config.ModulesToSave ?? [], "classifier", "score"] } : config;
    }

    private static ModuleInfo Module(JsonElement row) => new(
        row[0].GetString()!,
        Enum.Parse<ModuleKind>(row[1].GetString()!),
        row[2].GetInt64(),
        row[3].GetInt64(),
        row[4].GetBoolean(),
        row[5].GetBoolean(),
        row[6].GetBoolean());

    private sealed record Case(string Model, IReadOnlyList<ModuleInfo> Modules, JsonElement Outcome);
}
