using System.Text.Json;

namespace LowRank.EndToEndTests;

/// <summary>Every method from recipe to merged folder, as processes.</summary>
public sealed class MethodCommandTests
{
    private const string Everywhere = "target_modules: all-linear";

    public static TheoryData<string, string> Methods => new()
    {
        { "lora", "rank: 4\n  lora_bias: true\n  target_modules: [q_proj, v_proj]" },
        { "lora", "rank: 4\n  trainable_token_indices: [33, 70]\n  target_modules: [q_proj, v_proj]" },
        { "lora", "rank: 4\n  target_modules: [q_proj, embed_tokens, lm_head]\n  modules_to_save: [norm]" },
        { "lora_plus", "rank: 4\n  method_options: {ratio: 8}" },
        { "lora_fa", "rank: 4" },
        { "rslora", "rank: 4" },
        { "dora", "rank: 4\n  " + Everywhere },
        { "adalora", "rank: 4\n  method_options: {start_steps: 2, final_steps: 2}\n  " + Everywhere },
        { "pissa", "rank: 4\n  method_options: {iterations: 4}" },
        { "olora", "rank: 4" },
        { "orthogonal", "rank: 4" },
        { "eva", "rank: 4\n  " + Everywhere },
        { "corda", "rank: 4\n  method_options: {mode: kpm}" },
        { "lora_ga", "rank: 4\n  method_options: {examples: 8}" },
        { "vera", "rank: 16\n  target_modules: [q_proj, k_proj]" },
        { "loha", "rank: 2\n  " + Everywhere },
        { "lokr", "rank: 2\n  " + Everywhere },
        { "ia3", "target_modules: [q_proj, k_proj, v_proj, down_proj]" },
        { "prompt_tuning", "method_options: {virtual_tokens: 4}" },
        { "prefix_tuning", "method_options: {virtual_tokens: 4}" },
    };

    // The same for all methods.
    private static readonly Lazy<double> OfTheBase = new(() =>
    {
        using var model = new TinyModel();
        return Evaluate(model, "--model", model.Folder);
    });

    private static double Evaluate(TinyModel model, params string[] given) => JsonDocument.Parse(
        CommandLine.Run(["eval", .. given, "--data", model.Data, "--json"]).Succeeded().Output)
        .RootElement.GetProperty("loss").GetDouble();

    [Theory, MemberData(nameof(Methods))]
    public void A_method_trains_saves_and_is_taken_by_every_command(string method, string keys)
    {
        using var model = new TinyModel();
        string adapter = $"method: {method}\n  {keys}";
        CommandLine.Run("train", model.Recipe("steps: 8", adapter)).Succeeded();
        string[] lines = File.ReadAllLines(model["run/metrics.jsonl"]);
        double Loss(int line) => JsonDocument.Parse(lines[line]).RootElement.GetProperty("loss").GetDouble();
        Assert.True(Loss(7) < Loss(0), $"{method}: {Loss(0)} to {Loss(7)}");

        string[] adapted = ["--model", model.Folder, "--adapter", model["run/adapter"]];
        double before = OfTheBase.Value, after = Evaluate(model, adapted);
        Assert.True(after < before, $"{method}: {before} to {after}");
        string text = CommandLine.Run(["generate", .. adapted, "--prompt", "3 and 4:", "--max-new-tokens", "8"])
            .Succeeded().Output;
        JsonElement summary =
            JsonDocument.Parse(
                CommandLine.Run("inspect", model["run/adapter"], "--json").Succeeded().Output).RootElement;
        Assert.True(summary.GetProperty("trainable_parameters").GetInt64() > 0);
        CommandResult merge = CommandLine.Run(["merge", .. adapted, "--output", model["merged"]]);
        // A prompt changes no weight, and a bias on B needs a bias of the layer to go into.
        if (method.EndsWith("_tuning", StringComparison.Ordinal)
            || keys.Contains("lora_bias", StringComparison.Ordinal))
        {
            Assert.Equal(2, merge.ExitCode);
            Assert.Contains(
                method == "lora" ? "no bias that could take it"
                : "cannot be merged", merge.Error, StringComparison.Ordinal);
            return;
        }
        merge.Succeeded();
        Assert.InRange(Evaluate(model, "--model", model["merged"]), after - 1e-4, after + 1e-4);
        Assert.Equal(text,
            CommandLine.Run("generate", "--model", model["merged"], "--prompt", "3 and 4:", "--max-new-tokens", "8")
            .Succeeded().Output);
    }

    [Fact]
    public void New_tokens_are_trained_kept_with_their_tokenizer_and_known_to_every_command()
    {
        using var model = new TinyModel();
        File.WriteAllLines(
            model.Data, Enumerable.Range(0, 24)
            .Select(i => JsonSerializer.Serialize(new { prompt = $"<ask> {i}:", completion = " <say>" })));
        CommandResult train = CommandLine.Run(
            "train", model.Recipe(
                "steps: 40", "rank: 4\n  target_modules: [q_proj, v_proj]\n  new_tokens: [<ask>, <say>]")).Succeeded();
        Assert.Contains("<ask> (256), <say> (257)", train.Error, StringComparison.Ordinal);
        string[] adapted = ["--model", model.Folder, "--adapter", model["run/adapter"]];
        string[] prompt = ["--prompt", "<ask> 7:", "--max-new-tokens", "2"];
        string text = CommandLine.Run(["generate", .. adapted, .. prompt]).Succeeded().Output;
        Assert.StartsWith(" <say>", text, StringComparison.Ordinal);
        Assert.Contains(
            "differ by at most", CommandLine.Run(
                ["merge", .. adapted, "--output", model["merged"], "--check", "<ask> 7: <say>"]).Succeeded().Output,
                StringComparison.Ordinal);
        Assert.Equal(text, CommandLine.Run(["generate", "--model", model["merged"], .. prompt]).Succeeded().Output);
        string Evaluate(params string[] given) =>
            CommandLine.Run(["eval", .. given, "--data", model.Data]).Succeeded().Output;
        Assert.Equal(Evaluate(adapted), Evaluate("--model", model["merged"]));

        CommandResult refused =
            CommandLine.Run(
                "train", model.Recipe("steps: 2", "rank: 4\n  new_tokens: [a, \" \", <ask>, <ask>]", "other"));
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("\"a\" is in the vocabulary already", refused.Error, StringComparison.Ordinal);
        Assert.Contains("not blank", refused.Error, StringComparison.Ordinal);
        Assert.Contains("\"<ask>\" is named twice", refused.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void An_adapter_of_another_kind_is_not_trained_on_by_a_methods_rules()
    {
        using var model = new TinyModel();
        CommandLine.Run(
            "train", model.Recipe("steps: 2", "method: vera\n  rank: 8\n  target_modules: [q_proj, k_proj]"))
            .Succeeded();
        CommandResult refused =
            CommandLine.Run("train", model.Recipe("steps: 2\n  init_adapter: run/adapter", "method: adalora", "other"));
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("is a VERA adapter, and adapter.method is adalora. Set adapter.method to vera", refused.Error,
            StringComparison.Ordinal);
        CommandLine.Run("train", model.Recipe("steps: 2\n  init_adapter: run/adapter", "method: vera", "other"))
            .Succeeded();
    }

    [Fact]
    public void LoftQ_without_a_quantised_base_is_refused()
    {
        using var model = new TinyModel();
        CommandResult refused = CommandLine.Run("train", model.Recipe("steps: 2", "method: loftq"));
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("is not quantised", refused.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void LoftQ_learns_on_a_base_that_is_quantised_as_it_is_read()
    {
        using var model = new TinyModel();
        string recipe = model.Recipe("steps: 20", "method: loftq");
        File.AppendAllText(recipe, "base_dtype: nf4\n");
        CommandResult trained = CommandLine.Run("train", recipe).Succeeded();
        Assert.Contains(
            "weights of the base are kept in nf4", trained.Output + trained.Error, StringComparison.Ordinal);
        double Loss(params string[] more) =>
            JsonDocument.Parse(
                CommandLine.Run(["eval", "--model", model.Folder, "--data", model.Data, "--json", .. more])
                .Succeeded().Output)
            .RootElement.GetProperty("loss").GetDouble();
        double untrained = Loss("--base-dtype", "nf4"),
            adapted = Loss("--base-dtype", "nf4", "--adapter", model["run/adapter"]);
        Assert.True(adapted < 0.9 * untrained, $"{adapted} and {untrained}");
        Assert.Equal(adapted, Loss("--adapter", model["run/adapter"])); // the adapter's folder says what it needs
        CommandResult refused = CommandLine.Run(
            "predict", "--model", model.Folder, "--base-dtype", "float32", "--adapter", model["run/adapter"],
            "--data", model.Data);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("--base-dtype nf4", refused.Error, StringComparison.Ordinal);
        CommandResult merged = CommandLine.Run(
            "merge", "--model", model.Folder, "--adapter", model["run/adapter"], "--output", model["merged"], "--check",
            "1 and 2:").Succeeded();
        Assert.Contains("note: the base is stored in nf4", merged.Error, StringComparison.Ordinal);
        Assert.Contains("The base is stored in nf4", merged.Output, StringComparison.Ordinal);
        CommandLine.Run("quantize", "--model", model.Folder, "--output", model["nf4"]).Succeeded();
        string onFolder = CommandLine.Run("generate", "--model", model["nf4"], "--adapter", model["run/adapter"],
            "--prompt", "3 and 4:", "--max-new-tokens", "8").Succeeded().Output;
        Assert.Equal(CommandLine.Run("generate", "--model", model.Folder, "--base-dtype", "nf4", "--adapter",
            model["run/adapter"], "--prompt", "3 and 4:", "--max-new-tokens", "8").Succeeded().Output, onFolder);
    }

    [Fact]
    public void Biases_alone_are_trained_where_there_are_biases_and_refused_where_there_are_none()
    {
        using var model = new TinyModel();
        CommandResult refused = CommandLine.Run("train", model.Recipe("steps: 2", "method: bitfit"));
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("bias", refused.Error, StringComparison.Ordinal);
        File.Copy(Path.Combine(CommandLine.Repository, "tests/LowRank.ParityTests/Fixtures/goldens/gpt2/config.json"),
            Path.Combine(model.Folder, "config.json"), overwrite: true);
        File.Copy(
            Path.Combine(CommandLine.Repository, "tests/LowRank.ParityTests/Fixtures/goldens/gpt2/model.safetensors"),
            Path.Combine(model.Folder, "model.safetensors"), overwrite: true);
        CommandLine.Run("train", model.Recipe("steps: 4", "method: bitfit")).Succeeded();
        Assert.Contains(
            "bias", CommandLine.Run("inspect", model["run/adapter"]).Succeeded().Output, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_method_does_not_take_is_refused_with_what_it_takes()
    {
        using var model = new TinyModel();
        CommandResult refused = CommandLine.Run(
            "train", model.Recipe(
                "steps: 2", "method: vera\n  alpha: 8\n  method_options: {ratio: 3, d_initial: none}"));
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("adapter.alpha", refused.Error, StringComparison.Ordinal);
        Assert.Contains("ratio", refused.Error, StringComparison.Ordinal);
        Assert.Contains("projection_seed", refused.Error, StringComparison.Ordinal); // what there is instead
        Assert.Contains("d_initial", refused.Error, StringComparison.Ordinal);
        CommandResult unknown = CommandLine.Run("train", model.Recipe("steps: 2", "method: lorra"));
        Assert.Contains("lora_plus", unknown.Error, StringComparison.Ordinal);
    }
}
