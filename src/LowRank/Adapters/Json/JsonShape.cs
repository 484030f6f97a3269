namespace LowRank.Adapters.Json;

/// <summary>The kinds of JSON value that a key takes.</summary>
[Flags]
internal enum JsonShape
{
    None = 0,
    Null = 1,
    Boolean = 1 << 1,
    Integer = 1 << 2,
    Number = 1 << 3,
    Text = 1 << 4,
    TextList = 1 << 5,
    IntegerList = 1 << 6,
    List = 1 << 7,
    IntegerMap = 1 << 8,
    NumberMap = 1 << 9,
    Map = 1 << 10,
}
