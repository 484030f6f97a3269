using CsCheck;
using LowRank.Adapters;

namespace LowRank.Tests.Adapters;

public sealed class TargetMatcherTests
{
    private static readonly LoraConfig Plain = new() { TargetModules = ModuleSelection.Create("q_proj", "v_proj") };

    [Fact]
    public void Names_match_the_end_of_a_path_in_the_order_of_the_model() =>
        Assert.Equal(
            ["model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj", "model.layers.1.self_attn.q_proj",
            "model.layers.1.self_attn.v_proj"], Paths(Plain));

    [Fact]
    public void A_name_matches_whole_parts_of_a_path_only() =>
        Fails(new() { TargetModules = ModuleSelection.Create("proj", "q_proj") },
            "target_modules: \"proj\" matches no module");

    [Fact]
    public void A_missing_target_takes_the_default_of_the_model_type()
    {
        TargetMatch match = Match(new(), "llama");
        Assert.Equal(4, match.Targets.Count);
        Assert.Equal(["q_proj", "v_proj"], match.Resolved.TargetModules!.Names!);
        InputException failure = Assert.Throws<InputException>(() => Match(new(), "unheard_of"));
        Assert.Contains("no default for the model type \"unheard_of\"", failure.Message, StringComparison.Ordinal);
        Assert.Contains("q_proj (2 linear)", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void All_linear_leaves_out_the_head_and_is_saved_as_names()
    {
        TargetMatch match = Match(new() { TargetModules = ModuleSelection.AllLinear });
        Assert.Equal(6, match.Targets.Count);
        Assert.DoesNotContain(match.Targets, target => target.Path == "lm_head");
        Assert.Equal(match.Targets.Select(target => target.Path).Order(StringComparer.Ordinal),
            match.Resolved.TargetModules!.Names!);
    }

    [Fact]
    public void Twenty_names_are_saved_as_the_shortest_endings()
    {
        TargetMatch match = TargetMatcher.Match(
            new LoraConfig { TargetModules = ModuleSelection.AllLinear }, ModelListing.Decoder(8), "llama",
            AdapterUse.Create);
        Assert.Equal(24, match.Targets.Count);
        Assert.Equal(["down_proj", "q_proj", "v_proj"], match.Resolved.TargetModules!.Names!);
    }

    [Fact]
    public void The_list_of_a_new_adapter_is_sorted_and_of_an_old_one_kept()
    {
        LoraConfig config = Plain with { TargetModules = ModuleSelection.Create("v_proj", "q_proj") };
        Assert.Equal(["q_proj", "v_proj"], Match(config).Resolved.TargetModules!.Names!);
        Assert.Same(config, TargetMatcher.Match(config, ModelListing.Decoder(), "llama", AdapterUse.Load).Resolved);
    }

    [Fact]
    public void A_text_matches_the_whole_path() =>
        Assert.Equal(["model.layers.0.self_attn.q_proj"],
            Paths(new() { TargetModules = ModuleSelection.Pattern(@".*\.0\..*(q|k)_proj") }));

    [Fact]
    public void Exclusion_wins() =>
        Assert.Equal(["model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.v_proj"],
            Paths(Plain with { ExcludeModules = ModuleSelection.Pattern(@".*\.0\..*") }));

    [Fact]
    public void Layers_are_chosen_by_number() =>
        Assert.Equal(["model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.v_proj"],
            Paths(Plain with { LayersToTransform = LayerSelection.One(1) }));

    [Fact]
    public void The_first_pattern_that_matches_decides()
    {
        LoraConfig config = Plain with
        {
            Rank = 4,
            Alpha = 8,
            RankPattern = new Dictionary<string, int> { ["layers.0.self_attn.q_proj"] = 16, ["q_proj"] = 2 },
            AlphaPattern = new Dictionary<string, ConfigNumber> { ["v_proj"] = 2.5 },
        };
        AdapterTarget[] targets = [.. Match(config).Targets];
        Assert.Equal([(16, 8.0, 0.5), (4, 2.5, 0.625), (2, 8.0, 4.0), (4, 2.5, 0.625)],
            targets.Select(t => (t.Rank, t.Alpha, t.Scale)));
    }

    [Fact]
    public void Nothing_matched_lists_what_could_be()
    {
        InputException failure = Assert.Throws<InputException>(
            () => Match(new() { TargetModules = ModuleSelection.Pattern("c_attn") }));
        Assert.Contains("target_modules: \"c_attn\" matches no module", failure.Message, StringComparison.Ordinal);
        Assert.Contains(
            "embed_tokens (1 embedding), q_proj (2 linear), v_proj (2 linear), down_proj (2 linear), lm_head (1 " +
            "linear)", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Everything_without_effect_is_reported_at_once()
    {
        LoraConfig config = Plain with
        {
            TargetModules = ModuleSelection.Create("q_proj", "v_prj", "model.layers.0.self_attn.v_proj"),
            ExcludeModules = ModuleSelection.Create("model.layers.0", "lm_head"),
            LayersToTransform = LayerSelection.Create(1, 7),
            RankPattern = new Dictionary<string, int> { ["k_proj"] = 4 },
            AlphaPattern = new Dictionary<string, ConfigNumber> { [".*_proj"] = 3, ["q_proj"] = 4 },
        };
        string[] expected =
        [
            "target_modules: \"v_prj\" matches no module",
            "exclude_modules: \"model.layers.0\" excludes nothing",
            "layers_to_transform: found 7, expected 0 to 1",
            "layers_to_transform: [1, 7] leaves out the layer of \"model.layers.0.self_attn.v_proj\"",
            "rank_pattern: \"k_proj\" matches no adapted module",
            "alpha_pattern: \"q_proj\" never holds",
        ];
        InputException failure = Assert.Throws<InputException>(() => Match(config));
        Assert.Equal(expected.Length, failure.Problems.Count);
        Assert.All(expected.Zip(failure.Problems),
            pair => Assert.StartsWith(pair.First, pair.Second, StringComparison.Ordinal));
        TargetMatch loaded = TargetMatcher.Match(config, ModelListing.Decoder(), "llama", AdapterUse.Load);
        Assert.Equal(failure.Problems, loaded.Warnings);
        Assert.Equal(["model.layers.0.self_attn.v_proj", "model.layers.1.self_attn.q_proj"],
            loaded.Targets.Select(target => target.Path));
    }

    [Fact]
    public void A_name_whose_modules_are_all_excluded_is_reported() =>
        Fails(Plain with { ExcludeModules = ModuleSelection.Create("v_proj") },
            "target_modules: \"v_proj\" adapts nothing: the 2 modules of that name are excluded");

    [Fact]
    public void Patterns_that_change_by_sorting_are_refused() =>
        Fails(
            Plain with { RankPattern = new Dictionary<string, int> { ["q_proj"] = 2, ["0.self_attn.q_proj"] = 4 } },
            "rank_pattern: \"q_proj\" (2) and \"0.self_attn.q_proj\" (4) both match " +
            "\"model.layers.0.self_attn.q_proj\"");

    [Theory]
    [InlineData("self_attn")]
    [InlineData("model.norm")]
    public void What_cannot_be_adapted_is_refused_even_in_an_old_adapter(string name)
    {
        LoraConfig config = Plain with { TargetModules = ModuleSelection.Create("q_proj", name) };
        InputException failure = Assert.Throws<InputException>(
            () => TargetMatcher.Match(config, ModelListing.Decoder(), "llama", AdapterUse.Load));
        Assert.Contains("which is no linear layer or embedding", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Unsupported_requests_stop_the_match() =>
        Fails((LoraConfig)AdapterConfig.Parse("""{"peft_type": "LORA", "use_qalora": true}"""),
            "use_qalora: found true, supported is false");

    [Theory]
    [InlineData("(layers)", "holds a group")]
    [InlineData("layers|x", "without a layer's number behind it")]
    [InlineData("lay(", "is no regular expression")]
    public void A_layers_pattern_that_hides_the_number_is_refused(string pattern, string expected) =>
        Fails(Plain with { LayersToTransform = LayerSelection.One(0),
            LayersPattern = ModuleSelection.Pattern(pattern) }, expected);

    [Fact]
    public void A_pattern_that_never_ends_is_stopped()
    {
        ModuleInfo[] modules = [new("a." + new string('a', 60) + "b", ModuleKind.Linear, 1, 1)];
        LoraConfig config = new() { TargetModules = ModuleSelection.Pattern("(a|aa|\\.)*c") };
        InputException failure = Assert.Throws<InputException>(
            () => TargetMatcher.Match(config, modules, null, AdapterUse.Create));
        Assert.Contains("takes more than a second", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_flag_for_stored_transposes_follows_the_modules()
    {
        ModuleInfo[] modules =
            [new("h.0.c_attn", ModuleKind.Conv1D, 4, 12), new("lm_head", ModuleKind.Linear, 4, 9, IsOutputHead: true)];
        LoraConfig config = new() { TargetModules = ModuleSelection.Create("c_attn") };
        Assert.True(TargetMatcher.Match(config, modules, "gpt2", AdapterUse.Create).Resolved.FanInFanOut);
        TargetMatch linear = TargetMatcher.Match(
            config with { TargetModules = ModuleSelection.Create("lm_head"), FanInFanOut = true }, modules, "gpt2",
            AdapterUse.Create);
        Assert.False(linear.Resolved.FanInFanOut);
        Assert.StartsWith("fan_in_fan_out: found true", Assert.Single(linear.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Two_modules_of_one_path_are_a_mistake_of_the_caller() =>
        Assert.Throws<ArgumentException>(
            () => TargetMatcher.Match(
                Plain, [.. ModelListing.Decoder(), .. ModelListing.Decoder()], null, AdapterUse.Create));

    [Fact]
    public void A_name_selects_exactly_the_paths_that_end_in_it()
    {
        Gen<string> path = Gen.OneOf([.. new[] { "a", "b", "ab", "0", "1" }.Select(Gen.Const)]).Array[1, 4]
            .Select(parts => string.Join('.', parts));
        Gen.Select(path.HashSet[1, 12], path.HashSet[1, 3]).Sample((paths, names) =>
        {
            ModuleInfo[] modules = [.. paths.Select(p => new ModuleInfo(p, ModuleKind.Linear, 1, 1))];
            string[] expected =
                [.. paths.Where(p => names.Any(name => ("." + p).EndsWith("." + name, StringComparison.Ordinal)))];
            string[] containers =
                [.. paths.SelectMany(Prefixes)
                .Where(p => !paths.Contains(p)
                && names.Any(name => ("." + p).EndsWith("." + name, StringComparison.Ordinal)))];
            LoraConfig config = new() { TargetModules = ModuleSelection.Create([.. names]) };
            if (expected.Length == 0 || containers.Length > 0)
                Assert.Throws<InputException>(() => TargetMatcher.Match(config, modules, null, AdapterUse.Load));
            else
                Assert.Equal(expected,
                    TargetMatcher.Match(config, modules, null, AdapterUse.Load).Targets.Select(target => target.Path));
        });
    }

    private static IEnumerable<string> Prefixes(string path)
    {
        string[] parts = path.Split('.');
        return Enumerable.Range(1, parts.Length - 1).Select(count => string.Join('.', parts[..count]));
    }

    private static TargetMatch Match(LoraConfig config, string? modelType = "llama") =>
        TargetMatcher.Match(config, ModelListing.Decoder(), modelType, AdapterUse.Create);

    private static IEnumerable<string> Paths(LoraConfig config) => Match(config).Targets.Select(target => target.Path);

    private static void Fails(LoraConfig config, string expected) =>
        Assert.Contains(expected, Assert.Throws<InputException>(() => Match(config)).Message, StringComparison.Ordinal);
}
