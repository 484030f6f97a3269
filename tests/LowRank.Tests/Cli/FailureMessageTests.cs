using LowRank.Cli.Commands;
using LowRank.Cli.Common;
using LowRank.Training;

namespace LowRank.Tests.Cli;

/// <summary>What a user sees of an error, expected or not.</summary>
public sealed class FailureMessageTests
{
    private static (int Code, string Text) Report(Exception failure, bool isVerbose = false)
    {
        using var to = new StringWriter();
        int code = FailureMessage.Report(failure, isVerbose, to);
        return (code, to.ToString());
    }

    [Fact]
    public void An_error_of_the_input_is_its_own_message() =>
        Assert.Equal((2, "error: x is 5, expected 4.\n"), Report(new InputException("x is 5, expected 4.")));

    [Theory]
    [InlineData(InputRemedy.Columns, "label",
        "\nColumns are mapped by data.columns in a recipe, or by --columns label=COLUMN.")]
    [InlineData(InputRemedy.BaseDtype, "nf4", "\nUse --base-dtype nf4, or base_dtype: nf4 in a recipe.")]
    [InlineData(InputRemedy.NewRun, null, "\nLeave out --resume.")]
    public void What_mends_an_error_is_named_as_the_command_line_names_it(string code, string? value, string said) =>
        Assert.Equal((2, $"error: x is wrong.{said}\n"),
            Report(new InputException("x is wrong.") { Remedy = new InputRemedy(code, value) }));

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
