using LowRank.Cli.Views;
using Spectre.Console.Testing;

namespace LowRank.Tests.Cli;

public sealed class LossCurveTests
{
    private static readonly (double, double)[] Falling =
        [.. Enumerable.Range(0, 41).Select(step => ((double)step, 2 - step / 40.0))];

    private static string[] Show(
        (double, double)[] training, (double, double)[] heldOut, int width = 40, int height = 12, bool unicode = true)
    {
        using var console = new TestConsole();
        (console.Profile.Width, console.Profile.Height, console.Profile.Capabilities.Unicode) =
            (width, height, unicode);
        console.Write(new LossCurve(training, heldOut, otherLines: 4));
        return console.Output.Length == 0 ? [] : console.Output.Split('\n');
    }

    [Fact]
    public void A_falling_loss_is_a_line_from_the_upper_left_to_the_lower_right()
    {
        string[] lines = Show(Falling, []);
        Assert.Equal(8, lines.Length); // the terminal's 12 without the other 4
        Assert.All(lines, line => Assert.True(line.Length <= 40, line));
        Assert.Equal("      loss: ⠒⠒ training", lines[0]);
        Assert.StartsWith("2.00 ┤⠉⠑⠒⠤⠤⣀⡀   ", lines[1], StringComparison.Ordinal);
        Assert.EndsWith("⠢⠤⢄⣀", lines[5].TrimEnd(), StringComparison.Ordinal);
        Assert.Equal("      0                          step 40", lines[7]);
    }

    [Fact]
    public void Held_out_losses_are_marks_over_the_line()
    {
        string[] lines = Show([(0, 1), (20, 2)], [(0, 1), (10, 2), (20, 1.5)]);
        Assert.Contains("training  ● held out", lines[0]);
        Assert.Equal(3, string.Concat(lines[1..6]).Count(c => c == '●'));
        Assert.Equal(6 + 16, lines[1].IndexOf('●')); // the middle of 34 columns, at the top
        Assert.Equal(6, lines[5].IndexOf('●'));      // the first column, at the bottom
    }

    [Fact]
    public void Losses_far_apart_are_shown_logarithmic()
    {
        string[] lines = Show([(1, 10), (2, 1), (3, 0.1)], []);
        Assert.EndsWith("(logarithmic)", lines[0], StringComparison.Ordinal);
        Assert.StartsWith(" 10.00 ┤", lines[1], StringComparison.Ordinal);
        Assert.StartsWith("  1.00 ┤", lines[3], StringComparison.Ordinal);
        Assert.StartsWith("0.1000 ┤", lines[5], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(29, 12)]
    [InlineData(80, 9)]
    public void Where_there_is_no_room_there_is_no_curve(int width, int height) =>
        Assert.Empty(Show(Falling, [], width, height));

    [Fact]
    public void A_single_loss_is_no_curve() => Assert.Empty(Show([(1, 2)], []));

    [Fact]
    public void Equal_losses_lie_in_the_middle_and_nothing_divides_by_zero()
    {
        string[] lines = Show([(1, 2), (2, 2)], []);
        Assert.DoesNotContain("NaN", string.Concat(lines));
        Assert.Contains('⠤', lines[3]);
    }

    [Fact]
    public void A_terminal_without_unicode_gets_letters() =>
        Assert.All(string.Concat(Show(Falling, [(3, 1)], unicode: false)), c => Assert.InRange(c, '\n', '~'));

    [Fact]
    public void A_long_run_keeps_its_course_in_a_bounded_number_of_bins()
    {
        var history = new LossHistory();
        for (long step = 1; step <= 100_000; step++)
            history.Add(step, step < 50_000 ? 2 : step % 7 == 0 ? double.NaN : 1);
        (double Step, double Loss)[] points = [.. history.Points];
        Assert.InRange(points.Length, LossHistory.MostBins / 2, LossHistory.MostBins);
        Assert.All(points, point => Assert.InRange(point.Loss, 1, 2));
        Assert.Equal(2, points[0].Loss);
        Assert.Equal(1, points[^1].Loss);
        Assert.Equal([.. points.Select(point => point.Step).Order()], points.Select(point => point.Step));
        Assert.All(points.Where(point => point.Step < 49_900), point => Assert.Equal(2, point.Loss));
    }
}
