using System.Diagnostics;
using LowRank.Adapters;
using LowRank.Models;

namespace LowRank.EndToEndTests;

public sealed class TrainCommandTests
{
    [Fact]
    public void Every_problem_of_a_recipe_is_reported_at_once()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(
            folder["r.yaml"],
            "model: nowhere\ndata:\n  train: missing.jsonl\nadapter:\n  rnak: 3\n  alpha: -1\ntraining:\n  " +
            "schedule: square\n");
        CommandResult result = CommandLine.Run("train", folder["r.yaml"]);
        Assert.Equal(2, result.ExitCode);
        foreach (string expected in new[] { "line 5", "did you mean", "line 6", "alpha", "line 8", "square", "output" })
            Assert.Contains(expected, result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_target_that_matches_nothing_lists_what_could_be_adapted()
    {
        using var model = new TinyModel();
        CommandResult result = CommandLine.Run("train", model.Recipe("steps: 1", "target_modules: [query]"));
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("q_proj (2 linear)", result.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(model["run"]));
    }

    [Fact]
    public void A_resumed_run_ends_in_the_bytes_of_an_uninterrupted_one()
    {
        using var model = new TinyModel();
        CommandLine.Run("train", model.Recipe("steps: 300\n  save_every: 20", "dropout: 0.1", "whole")).Succeeded();
        string recipe = model.Recipe("steps: 300\n  save_every: 20", "dropout: 0.1", "broken");
        using (Process process = CommandLine.Start(model[""], "train", recipe))
        {
            Wait.For(() => Directory.Exists(model["broken/checkpoints"])
                && Directory.GetDirectories(model["broken/checkpoints"], "step-????????").Length > 0, process);
            process.Kill();
            process.WaitForExit();
        }
        CommandLine.Run("train", recipe, "--resume").Succeeded();
        Assert.Equal(File.ReadAllBytes(model["whole/adapter/adapter_model.safetensors"]),
            File.ReadAllBytes(model["broken/adapter/adapter_model.safetensors"]));
        Assert.Equal(Enumerable.Range(1, 300), Metrics.Steps(model["broken/metrics.jsonl"]));
    }

    [Fact]
    public void A_killed_run_leaves_no_half_written_adapter()
    {
        using var model = new TinyModel();
        var random = new Random(5);
        string recipe = model.Recipe("steps: 100000\n  save_every: 1\n  eval_every: 1", "target_modules: all-linear")
            .Replace("run.yaml", "run.yaml", StringComparison.Ordinal);
        File.WriteAllText(
            recipe, File.ReadAllText(recipe)
            .Replace("train: data.jsonl", "train: data.jsonl\n  validation: data.jsonl", StringComparison.Ordinal));
        for (int i = 0; i < 5; i++)
        {
            using Process process = CommandLine.Start(model[""], "train", recipe);
            Wait.For(() => Directory.Exists(model["run/best"]), process);
            Thread.Sleep(random.Next(400));
            process.Kill();
            process.WaitForExit();
            using PretrainedModel opened = PretrainedModel.Open(model.Folder);
            foreach (string name in new[] { "run/adapter", "run/best" })
                if (Directory.Exists(model[name])) Adapter.Load(model[name], opened).Dispose();
            Directory.Delete(model["run"], recursive: true);
        }
    }

    [Fact]
    public void A_second_run_keeps_the_first()
    {
        using var model = new TinyModel();
        string recipe = model.Recipe("steps: 2");
        CommandLine.Run("train", recipe).Succeeded();
        byte[] first = File.ReadAllBytes(model["run/adapter/adapter_model.safetensors"]);
        Assert.Contains(
            "\"lora_alpha\": 16,", File.ReadAllText(model["run/adapter/adapter_config.json"]),
            StringComparison.Ordinal);
        CommandResult second = CommandLine.Run("train", recipe, "--set", "training.seed=1").Succeeded();
        Assert.Contains("run.previous-1", second.Error, StringComparison.Ordinal);
        Assert.Equal(first, File.ReadAllBytes(model["run.previous-1/adapter/adapter_model.safetensors"]));
        Assert.NotEqual(first, File.ReadAllBytes(model["run/adapter/adapter_model.safetensors"]));
    }

    [Fact]
    public void Full_training_writes_a_model_that_loads()
    {
        using var model = new TinyModel();
        CommandLine.Run("train", model.Recipe("steps: 3", "method: full")).Succeeded();
        using PretrainedModel trained = PretrainedModel.Open(model["run/model"]),
            original = PretrainedModel.Open(model.Folder);
        Assert.Equal(original.Decoder.Parameters.Keys, trained.Decoder.Parameters.Keys);
        Assert.True(File.Exists(model["run/model/tokenizer.json"]));
    }

    [Fact]
    public void A_run_whose_model_an_earlier_run_left_in_its_output_is_refused_and_other_files_stay()
    {
        using var model = new TinyModel();
        string recipe = model.Recipe("steps: 1", "method: full");
        CommandLine.Run("train", recipe).Succeeded();
        File.WriteAllText(model["run/notes.txt"], "mine");
        CommandResult refused = CommandLine.Run("train", recipe, "--set", "model=run/model");
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("Choose another output", refused.Error, StringComparison.Ordinal);
        Assert.True(File.Exists(model["run/model/model.safetensors"]));
        CommandLine.Run("train", recipe, "--set", "output=run/").Succeeded();
        Assert.True(File.Exists(model["run/notes.txt"]));
        Assert.True(File.Exists(model["run.previous-1/model/model.safetensors"]));
    }
}
