using System.Globalization;
using CsCheck;
using LowRank.Adapters.Json;

namespace LowRank.Tests.Adapters;

public sealed class PythonFloatTests
{
    [Fact]
    public void The_text_reads_back_to_the_same_value() =>
        Gen.Double.Where(double.IsFinite).Sample(value =>
            BitConverter.DoubleToInt64Bits(double.Parse(PythonFloat.Text(value), CultureInfo.InvariantCulture))
                == BitConverter.DoubleToInt64Bits(value));

    [Fact]
    public void The_text_is_never_that_of_a_whole_number() =>
        Gen.Select(Gen.Int, Gen.Int[0, 20])
            .Sample((digits, shift) => !PythonJson.IsInteger(PythonFloat.Text(digits * Math.Pow(10, shift - 10))));

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void What_JSON_cannot_say_is_refused(double value) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => PythonFloat.Text(value));
}
