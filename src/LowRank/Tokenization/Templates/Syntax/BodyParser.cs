using LowRank.Tokenization.Templates.Nodes;

namespace LowRank.Tokenization.Templates.Syntax;

/// <summary>Parses the body of a statement up to one of its tags, which is taken and returned.</summary>
/// <param name="soft">Whether the body may stay unused, see <see cref="ParserState.IsSoft"/>.</param>
/// <param name="ends">The tags.</param>
internal delegate (List<Statement> Body, string End) BodyParser(bool soft, params string[] ends);
