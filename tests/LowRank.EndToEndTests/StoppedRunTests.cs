using System.Diagnostics;
using System.Globalization;
using LowRank.Adapters;
using LowRank.IO;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.EndToEndTests;

/// <summary>Runs that end before their last step: by signals, budgets, early stopping, or because the numbers are
/// lost.</summary>
public sealed class StoppedRunTests
{
    // Long enough that a run cannot end while the signal is on its way.
    private const string Steps = "steps: 300\n  gradient_accumulation: 3";

    // The adapter of a run that nobody stopped, the same for all signals.
    private static readonly Lazy<byte[]> Whole = new(() =>
    {
        using var model = new TinyModel();
        CommandLine.Run("train", model.Recipe(Steps, "dropout: 0.1"), "--set", "training.threads=1").Succeeded();
        return File.ReadAllBytes(model["run/adapter/adapter_model.safetensors"]);
    });

    [Theory]
    [InlineData("INT", 130)]
    [InlineData("TERM", 143)]
    [InlineData("HUP", 129)]
    public void A_signal_finishes_the_step_saves_and_says_how_to_go_on(string signal, int exitCode)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no such signals");
        Assert.SkipWhen(Ignores(signal switch { "HUP" => 1, "INT" => 2, _ => 15 }),
            $"SIG{signal} is ignored here, as in what a script starts with & or nohup, and runs inherit that");
        using var model = new TinyModel();
        string[] threads = ["--set", "training.threads=1"];
        string recipe = model.Recipe(Steps, "dropout: 0.1");
        using Process process = CommandLine.Start(model[""], ["train", recipe, .. threads]);
        Wait.For(() => HasStepped(model), process);
        Send(process, signal);
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(exitCode, process.ExitCode);
        Assert.Contains($"SIG{signal}: finishing the step and saving the run", error, StringComparison.Ordinal);
        Assert.Contains("Stopped after step", error, StringComparison.Ordinal);
        Assert.Contains(
            $"Resume with: lowrank train {recipe} --set training.threads=1 --resume", error, StringComparison.Ordinal);
        using (PretrainedModel opened = PretrainedModel.Open(model.Folder))
            Adapter.Load(model["run/adapter"], opened).Dispose();
        CommandLine.Run(["train", recipe, .. threads, "--resume"]).Succeeded();
        Assert.Equal(Enumerable.Range(1, 300), Metrics.Steps(model["run/metrics.jsonl"]));
        Assert.Equal(Whole.Value, File.ReadAllBytes(model["run/adapter/adapter_model.safetensors"]));
    }

    [Fact]
    public void A_second_signal_stops_at_once()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no such signals");
        using var model = new TinyModel();
        // Steps that take far longer than the test waits. The first one's end is seen, so the second one has begun.
        string recipe = model.Recipe("steps: 1000\n  gradient_accumulation: 400\n  threads: 1");
        using (var rows = new StreamWriter(model.Data))
            for (int row = 0; row < 1600; row++)
                rows.WriteLine($"{{\"prompt\": \"{row} and\", \"completion\": \"{new string('.', 48)}\"}}");
        using Process process = CommandLine.Start(model[""], "train", recipe);
        Wait.For(() => HasStepped(model), process);
        Thread.Sleep(200);
        Send(process, "TERM");
        Assert.False(process.WaitForExit(500));
        Send(process, "TERM");
        Assert.True(process.WaitForExit(CommandLine.Longest));
        Assert.Equal(143, process.ExitCode);
        Assert.False(Directory.Exists(model["run/adapter"]));
        Assert.DoesNotContain("Stopped after", process.StandardError.ReadToEnd(), StringComparison.Ordinal);
    }

    [Fact]
    public void Lost_numbers_end_the_run_with_a_diagnosis_down_to_the_row()
    {
        using var model = new TinyModel();
        Spoil(model, 'Z');
        File.AppendAllText(model.Data, "{\"prompt\": \"Z\", \"completion\": \" dots\"}\n");
        CommandResult skipped = CommandLine.Run("train", model.Recipe("epochs: 2\n  threads: 1")).Succeeded();
        Assert.Contains(
            "skipped, the weights stay unchanged: the loss is NaN", skipped.Output, StringComparison.Ordinal);
        Assert.Contains("2 of 14 steps were skipped", skipped.Output, StringComparison.Ordinal);
        CommandResult result =
            CommandLine.Run("train", model.Recipe("epochs: 2\n  max_skipped_steps: 1\n  threads: 1\n  shuffle: false"));
        Assert.Equal(1, result.ExitCode);
        Assert.Contains("error: Step 7 gave no finite loss or gradient", result.Error, StringComparison.Ordinal);
        Assert.Contains(
            $"1 of 1 rows are wrong by themselves: {model.Data}:25 (loss NaN)", result.Error, StringComparison.Ordinal);
        using PretrainedModel opened = PretrainedModel.Open(model.Folder);
        using var kept = Adapter.Load(model["run/adapter"], opened);
        Assert.All(kept.Weights, weight => Assert.True(weight.Value.isfinite().all().item<bool>()));
    }

    [Fact]
    public void A_model_without_numbers_answers_with_an_error_that_names_the_weight()
    {
        using var model = new TinyModel();
        Spoil(model, 'Z');
        foreach (string[] temperature in (string[][])[[], ["--temperature", "0.7"]])
        {
            CommandResult result =
                CommandLine.Run(["generate", "--model", model.Folder, "--prompt", "aZ", .. temperature]);
            Assert.Equal((1, ""), (result.ExitCode, result.Output));
            Assert.StartsWith(
                "error: The model gives no finite logits, and no token can be chosen: the base's weight " +
                "model.embed_tokens.weight has", result.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Budgets_and_early_stopping_end_a_run_that_went_well()
    {
        using var model = new TinyModel();
        CommandResult tokens =
            CommandLine.Run("train", model.Recipe("steps: 1000\n  threads: 1\n  max_tokens: 500")).Succeeded();
        Assert.Contains("training.max_tokens is 500", tokens.Output, StringComparison.Ordinal);
        CommandResult time =
            CommandLine.Run("train", model.Recipe("steps: 1000000\n  threads: 1\n  max_time: 1s")).Succeeded();
        Assert.Contains("training.max_time is used", time.Output, StringComparison.Ordinal);
        string recipe = model.Recipe("steps: 1000\n  threads: 1\n  eval_every: 1\n  patience: 3\n  min_delta: 100");
        CommandResult early = CommandLine.Run("train", recipe, "--set", $"data.validation={model.Data}").Succeeded();
        Assert.Contains(
            "Ended after step 4: no better held-out loss in 3 evaluations", early.Output, StringComparison.Ordinal);
        Assert.True(Directory.Exists(model["run/best"]));
    }

    // The embedding of a letter is no number: rows with it have no loss.
    private static void Spoil(TinyModel model, char letter)
    {
        using var scope = NewDisposeScope();
        using PretrainedModel opened = PretrainedModel.Open(model.Folder);
        int token = LowRank.Tokenizers.Tokenizer.Load(model.Folder, null).Encode(letter.ToString())[0];
        List<KeyValuePair<string, Tensor>> weights =
            [.. opened.Decoder.Parameters.Select(
                weight => KeyValuePair.Create(weight.Key, weight.Value.detach().clone()))];
        weights.First(weight => weight.Key == "model.embed_tokens.weight").Value[token].fill_(float.NaN);
        SafeTensorsWriter.Write(model["spoiled"], weights);
        File.Move(model["spoiled"], Path.Combine(model.Folder, "model.safetensors"), overwrite: true);
    }

    // proc(5): a mask of the signals that are ignored, the first one in its lowest bit.
    private static bool Ignores(int signal) => OperatingSystem.IsLinux()
        && File.ReadLines("/proc/self/status")
        .FirstOrDefault(line => line.StartsWith("SigIgn:", StringComparison.Ordinal)) is { } line
        && (ulong.Parse(line.AsSpan("SigIgn:".Length).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) & (
            1UL << (signal - 1))) != 0;

    private static bool HasStepped(TinyModel model) =>
        File.Exists(model["run/metrics.jsonl"]) && new FileInfo(model["run/metrics.jsonl"]).Length > 0;

    private static void Send(Process process, string signal) =>
        Process.Start("kill", ["-" + signal, process.Id.ToString()])!.WaitForExit();
}
