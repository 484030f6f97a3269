using LowRank.Recipes;

namespace LowRank.Tests.Recipes;

public sealed class DurationTextTests
{
    [Theory]
    [InlineData("90", 90)]
    [InlineData("0.5", 0.5)]
    [InlineData("1.5E3", 1500)]
    [InlineData("90s", 90)]
    [InlineData("30m", 1800)]
    [InlineData("2h", 7200)]
    [InlineData("1.5h", 5400)]
    [InlineData("1h30m", 5400)]
    [InlineData("1d 2h 3m 4s", 93784)]
    [InlineData("2H", 7200)]
    public void Times_are_read(string text, double seconds)
    {
        Assert.True(DurationText.TryParse(text, out TimeSpan time));
        Assert.Equal(seconds, time.TotalSeconds);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("0")]
    [InlineData("0s")]
    [InlineData("-5")]
    [InlineData("5 minutes")]
    [InlineData("30m2h")]
    [InlineData("1:30:00")]
    [InlineData("1e300")]
    [InlineData("99999999999999999999d")]
    [InlineData("NaN")]
    public void Others_are_not(string text) => Assert.False(DurationText.TryParse(text, out _));
}
