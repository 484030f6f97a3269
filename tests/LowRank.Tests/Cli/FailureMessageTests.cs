using System.CommandLine;
using LowRank.Cli.Commands;
using LowRank.Cli.Common;
using LowRank.Training;

namespace LowRank.Tests.Cli;

/// <summary>What a user sees of an error, expected or not.</summary>
public sealed class FailureMessageTests
{
    private static (int Code, string Text) Report(Exception failure, bool isVerbose = false, Command? of = null)
    {
        using var to = new StringWriter();
        int code = FailureMessage.Report(failure, isVerbose, to, of);
        return (code, to.ToString());
    }

    [Fact]
    public void An_error_of_the_input_is_its_own_message() =>
        Assert.Equal((2, "error: x is 5, expected 4.\n"), Report(new InputException("x is 5, expected 4.")));

    [Theory]
    [InlineData("data.columns", "label", " Use --columns label=COLUMN.", " Use data.columns: {label: COLUMN}.")]
    [InlineData("base_dtype", "nf4", " Use --base-dtype nf4.", " Use base_dtype: nf4.")]
    [InlineData("generation.top_k", "5", "", "")] // neither has a name for it
    public void What_mends_an_error_is_an_option_of_the_command_or_a_key_of_a_recipe(
        string path, string value, string option, string key)
    {
        var command = new Command("eval") { new Option<string[]>("--columns"), new Option<string>("--base-dtype") };
        foreach ((Command? of, string said) in new[] { (command, option), (null, key) })
            foreach (bool isVerbose in new[] { false, true })
            {
                var failure = new InputException(
                    new Problem("x is wrong.") { Remedy = new Setting(path, "a setting").To(value) });
                Assert.Equal("x is wrong.", failure.Message);
                (int code, string text) = Report(failure, isVerbose, of);
                Assert.Equal(2, code);
                Assert.EndsWith($"x is wrong.{said}\n", text);
            }
    }

    [Fact]
    public void Settings_inside_a_message_are_named_as_the_command_names_them()
    {
        var failure = new InputException(
            $"The text is cut by {KnownSettings.MaxLength}. Start anew, without {KnownSettings.Resume}; see " +
            $"{KnownSettings.Inspect}.");
        Assert.Equal("The text is cut by the maximum length. Start anew, without resuming; see a summary.",
            failure.Message);
        Assert.Equal(
            "error: The text is cut by training.max_length. Start anew, without resuming; see 'lowrank inspect'.\n",
            Report(failure).Text);
        Assert.Equal(
            "error: The text is cut by --max-length. Start anew, without --resume; see 'lowrank inspect'.\n",
            Report(failure, of: new Command("x") { new Option<int>("--max-length"), new Option<bool>("--resume") })
                .Text);
        var diverged = new NonFiniteLossException(3, Words.Of($"Lower {KnownSettings.LearningRate}."));
        Assert.Equal("error: Lower training.learning_rate.\n", Report(diverged).Text);
        var full = new RunStorageException(Words.Of($"Resume the run{KnownSettings.Resume.Aside}."));
        Assert.Equal("error: Resume the run (--resume).\n",
            Report(full, of: new Command("train") { new Option<bool>("--resume") }).Text);
    }

    [Fact]
    public void An_error_of_the_input_is_found_below_what_is_wrapped_around_it() =>
        Assert.Equal((2, "error: x is wrong.\n"),
            Report(new AggregateException(new TypeInitializationException("T", new InputException("x is wrong.")))));

    [Fact]
    public void An_error_that_nobody_expected_says_that_it_is_a_fault_of_the_program_and_how_to_see_more()
    {
        (int code, string text) = Report(new FormatException("too far"));
        Assert.Equal(1, code);
        Assert.StartsWith("error: too far", text);
        Assert.Contains("(FormatException)", text);
        Assert.Contains("This is a bug in LowRank", text);
        Assert.Contains("--verbose", text);
        Assert.Contains("   at ", Report(Thrown(), isVerbose: true).Text);
    }

    [Fact]
    public void Frames_of_native_code_are_left_out()
    {
        string text = Report(
            new InvalidOperationException(
                "value cannot be converted without overflow\nException raised from checked_convert at " +
                "c10.h:1\nframe #0: c10::Error::Error(…)")).Text;
        Assert.Contains("error: value cannot be converted without overflow (InvalidOperationException)", text);
        Assert.DoesNotContain("frame", text);
    }

    [Fact]
    public void Too_little_memory_says_what_takes_less()
    {
        const string native =
            "[enforce fail at alloc_cpu.cpp:114] err == 0. DefaultCPUAllocator: can't allocate memory: you tried " +
            "to allocate 4000000000000 bytes. Error code 12";
        Assert.StartsWith("error: not enough memory for 4000000000000 bytes. Use a smaller batch",
            Report(new InvalidOperationException(native)).Text);
        Assert.StartsWith(
            "error: not enough memory. Use a smaller batch", Report(new InsufficientMemoryException()).Text);
        foreach ((Command of, string batch, string dtype) in new[]
        {
            (new EvalCommand().Build(), "--batch-size", "--base-dtype"),
            (new TrainCommand().Build(), "training.batch_size", "base_dtype"),
        })
            Assert.Equal(
                $"error: not enough memory. Use a smaller batch ({batch}), shorter texts, a lower rank, a smaller " +
                $"model, or a smaller base dtype ({dtype}).\n", Report(new InsufficientMemoryException(), of: of).Text);
    }

    [Fact]
    public void A_missing_assembly_is_no_missing_file_of_the_user() =>
        Assert.Contains(
            "a file of LowRank is missing",
            Report(new FileNotFoundException(
                "Could not load file or assembly 'Parquet'.", "Parquet, Version=5.0.0.0")).Text);

    [Fact]
    public void What_the_world_did_is_no_fault_of_the_program()
    {
        Assert.Equal((1, "error: No space left on device\n"), Report(new IOException("No space left on device")));
        Assert.Equal((1, "error: the loss is not finite\n"),
            Report(new NonFiniteLossException(3, "the loss is not finite")));
    }

    private static InvalidOperationException Thrown()
    {
        try
        {
            throw new InvalidOperationException("inside");
        }
        catch (InvalidOperationException e)
        {
            return e;
        }
    }
}
