using System.Diagnostics;
using LowRank.Bench;
using LowRank.Pages;

namespace LowRank.Tools.Tests;

/// <summary>bench/LowRank.Bench: what it chooses, how it runs it, and what it refuses.</summary>
public sealed class MeasurementPlanTests
{
    private static readonly Dictionary<string, string> Given =
        new() { [MeasurementInput.EndToEnd.Place] = "/data/valid.txt",
        [MeasurementInput.Tokenizer.Place] = "/data/gpt2" };

    [Fact]
    public void What_needs_data_that_was_not_given_says_what_and_how()
    {
        IReadOnlyList<PlannedMeasurement> plan = PlannedMeasurement.Choose(new BenchOptions());
        Assert.Equal(Measurements.All, plan.Select(planned => planned.Measurement));
        PlannedMeasurement units = plan.Single(planned => planned.Measurement.Name == "train_bfloat16");
        Assert.Equal(!units.CanRun, units.Lack.Contains("AVX512_BF16 or AMX", StringComparison.Ordinal));
        string[] gpu = ["gpu_processor", "gpu", "gpu_large", "gpu_tf", "gpu_quantized"];
        string[] programs = ["peft_gpt2", "peft_llama"];
        Assert.Equal([.. programs, .. gpu, "lengths", "llama_cpp", "serve", "serve_int8", "lengths_avx2"], plan
            .Where(planned => planned.Missing.Count > 0)
            .Select(planned => planned.Measurement.Name));
        PlannedMeasurement lengths = plan.Single(planned => planned.Measurement.Name == "lengths");
        Assert.All(["--e2e (E2E's valid.txt", "--gpt2 (the folder"],
            part => Assert.Contains(part, lengths.Lack, StringComparison.Ordinal));
        Assert.Equal([.. programs, .. gpu, "llama_cpp", "serve", "serve_int8"], PlannedMeasurement
            .Choose(new BenchOptions { Inputs = Given }).Where(planned => planned.Missing.Count > 0)
            .Select(planned => planned.Measurement.Name));
    }

    [Fact]
    public void Some_are_chosen_by_name_and_by_vectors()
    {
        string[] Names(BenchOptions options) =>
            [.. PlannedMeasurement.Choose(options).Select(planned => planned.Measurement.Name)];
        Assert.Equal(["train", "generate_avx2"], Names(new BenchOptions { Names = ["generate_avx2", "train"] }));
        Assert.All(Names(new BenchOptions { On = "avx2" }),
            name => Assert.EndsWith("_avx2", name, StringComparison.Ordinal));
        Assert.All(Names(new BenchOptions { On = "native" }),
            name => Assert.DoesNotContain("avx2", name, StringComparison.Ordinal));
        Assert.Contains(
            "--python", Assert.Throws<InputException>(
                () => PlannedMeasurement.Choose(new BenchOptions { Names = ["train", "peft_gpt2"] })).Message);
        Assert.Contains(
            "train", Assert.Throws<InputException>(
                () => PlannedMeasurement.Choose(new BenchOptions { Names = ["train"], On = "avx2" })).Message);
    }

    [Fact]
    public void What_makes_no_sense_is_refused_all_at_once()
    {
        var options = new BenchOptions { Names = ["trian"], On = "sse", IsTrial = true,
            Inputs = new Dictionary<string, string> { [MeasurementInput.EndToEnd.Place] = "/nowhere/valid.txt" } };
        string message = Assert.Throws<InputException>(options.Check).Message;
        Assert.All(["\"trian\"", "train_all_linear", "--on is \"sse\"", "--output", "--e2e is \"/nowhere/valid.txt\""],
            part => Assert.Contains(part, message, StringComparison.Ordinal));
    }

    [Fact]
    public void A_process_gets_the_paths_that_were_given_and_the_vectors_that_the_file_is_of()
    {
        var run = new MeasurementRun("/repository", new BenchOptions { Inputs = Given });
        Measurement lengths = Measurements.All.Single(measurement => measurement.Name == "lengths"),
            narrow = Measurements.All.Single(measurement => measurement.Name == "lengths_avx2");
        ProcessStartInfo start = run.Start(lengths);
        Assert.Equal(["bench", "lengths", "--data", "/data/valid.txt", "--tokenizer", "/data/gpt2", "--json"],
            start.ArgumentList);
        Assert.False(start.Environment.ContainsKey("DOTNET_EnableAVX512"));
        Assert.Equal("0", run.Start(narrow).Environment["DOTNET_EnableAVX512"]);
        Assert.Equal(
            "DOTNET_EnableAVX512=0 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 ONEDNN_MAX_CPU_ISA=AVX2 "
            + lengths.Command, narrow.Command);
    }

    [Fact]
    public void Programs_of_others_stand_where_they_were_named()
    {
        var run = new MeasurementRun("/repository", new BenchOptions { Inputs = new Dictionary<string, string>
            { [MeasurementInput.Python.Place] = "/env/python", [MeasurementInput.LlamaBench.Place] = "/l/bench" } });
        Measurement Named(string name) => Measurements.All.Single(measurement => measurement.Name == name);
        Assert.Equal(["--beside", "/env/python", "tests/LowRank.ParityTests/Reference/time_with_peft.py"],
            run.Start(Named("peft_gpt2")).ArgumentList.TakeLast(3));
        Assert.Contains("/l/bench", run.Start(Named("llama_cpp")).ArgumentList);
        Assert.True(Named("gpu_processor").NeedsGpu);
        Assert.False(Named("peft_llama").NeedsGpu);
    }

    [Fact]
    public void An_environment_that_holds_everything_to_narrower_vectors_is_refused()
    {
        MachineState.CheckEnvironment(_ => null);
        string message = Assert.Throws<InputException>(
            () => MachineState.CheckEnvironment(name => name is "ATEN_CPU_CAPABILITY" or "DOTNET_EnableAVX512" ? "0"
            : null)).Message;
        Assert.StartsWith(
            "DOTNET_EnableAVX512, ATEN_CPU_CAPABILITY stand in the environment", message, StringComparison.Ordinal);
    }

    [Fact]
    public void How_busy_the_machine_is_is_read_from_the_systems_ticks()
    {
        Assert.Equal((1010, 1385), MachineState.Ticks("cpu  100 20 30 1000 10 5 20 200 7 8"));
        Assert.Contains("busy: 42%", MachineState.Describe(0.42), StringComparison.Ordinal);
        Assert.Contains("idle", MachineState.Describe(0.03), StringComparison.Ordinal);
        Assert.Contains("cannot be seen", MachineState.Describe(null), StringComparison.Ordinal);
    }
}
