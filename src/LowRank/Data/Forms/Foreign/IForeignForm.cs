using System.Text.Json.Nodes;

namespace LowRank.Data.Forms.Foreign;

/// <summary>A form that other programs' data has. A class of this interface is found by its type.</summary>
internal interface IForeignForm
{
    /// <summary>Whose form it is, as notes name it.</summary>
    string Name { get; }

    /// <summary>What it is read as.</summary>
    string ReadAs { get; }

    /// <summary>The fields of what is learned, which rows to be answered lack.</summary>
    IReadOnlyList<string> Answers => [];

    /// <summary>Whether a row has it.</summary>
    bool Fits(JsonObject row);

    /// <summary>The row in a form of this library's.</summary>
    /// <param name="row">A row that fits; may be changed.</param>
    /// <exception cref="InputException">The row is wrong, or nothing here learns from the form; without its place.</exception>
    JsonObject Convert(JsonObject row);
}
